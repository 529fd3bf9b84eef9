"""How far annotators agree, and how much each of them did."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from agents.feedback.answers import Answer, GivenAnswer
from lm_envs.errors import ConfigurationError

Level = Literal["nominal", "ordinal", "interval"]
TIE = -1
"""The value of a tie among choices."""


def krippendorff_alpha(units: Iterable[Sequence[Any]], level: Level = "nominal") -> float | None:
    """Krippendorff's alpha: 1 minus the observed disagreement over the disagreement that chance would give.

    1 is agreement on everything, 0 what chance would give. Values may be missing: of a unit only those that are there
    are listed, and a unit with fewer than two of them says nothing.

    Args:
        units: The values that were given to each unit, in no order.
        level: How values are compared: ``"nominal"`` equal or not, ``"ordinal"`` by rank, ``"interval"`` by the square
            of their difference; numbers for the last two.

    Returns:
        At most 1; None where fewer than two different values were given to units with two values or more, so that
        chance could not disagree.

    Raises:
        ConfigurationError: There is no such level.

    References:
        Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, https://repository.upenn.edu/asc_papers/43
    """
    if level not in _DISTANCES:
        raise ConfigurationError(f"level has to be one of {', '.join(_DISTANCES)}; got {level!r}.")
    pairable = [list(unit) for unit in units if len(unit) >= 2]
    values = sorted({value for unit in pairable for value in unit})
    if len(values) < 2:
        return None
    coincidences = _coincidences(pairable, values)
    totals = coincidences.sum(axis=1)  # (n_values,): how often each value was given
    distance = _DISTANCES[level](np.asarray(values), totals)
    observed = (coincidences * distance).sum() / totals.sum()
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() * (totals.sum() - 1))
    return float(1 - observed / expected)


def _coincidences(units: Sequence[Sequence[Hashable]], values: Sequence[Hashable]) -> np.ndarray:
    """How often two values were given to one unit, ``(n_values, n_values)``; a unit of m values weighs m."""
    place = {value: i for i, value in enumerate(values)}
    matrix = np.zeros((len(values), len(values)))
    for unit in units:
        for one, other in itertools.permutations(unit, 2):
            matrix[place[one], place[other]] += 1 / (len(unit) - 1)
    return matrix


def _nominal(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return 1.0 - np.eye(len(values))


def _ordinal(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """The square of how many values lie between two, each of the two by half."""
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle[None, :]) ** 2


def _interval(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return (values[:, None] - values[None, :]).astype(float) ** 2


_DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
}


@dataclass(frozen=True)
class Counts:
    """What one annotator did.

    Attributes:
        items: Items with an answer of theirs.
        choices: Answers with a best completion.
        ties: Answers that say that there is none.
        ratings: Completions that were rated.
        edits: Completions that were improved.
        flags: Items that were flagged.
        skips: Items that were skipped.
    """

    items: int
    choices: int
    ties: int
    ratings: int
    edits: int
    flags: int
    skips: int

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Counts:
        """Count in the answers that count."""
        return cls(
            items=len(answers),
            choices=sum(answer.best is not None for answer in answers),
            ties=sum(answer.tie for answer in answers),
            ratings=sum(rating is not None for answer in answers for rating in answer.ratings),
            edits=sum(answer.edit is not None for answer in answers),
            flags=sum(answer.flag is not None for answer in answers),
            skips=sum(answer.skip for answer in answers),
        )


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators.

    Attributes:
        annotators: Their names.
        items: For how many items both said which completion is best, or that none is.
        agreement: The share of these items for which they said the same; None where there is none.
    """

    annotators: tuple[str, str]
    items: int
    agreement: float | None


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree.

    Attributes:
        counts: What each annotator did, by name.
        pairs: Agreement on choices for every two annotators.
        choices_alpha: Krippendorff's alpha of choices, nominal, a tie being a value of its own; None: not defined.
        ratings_alpha: Krippendorff's alpha of ratings, ordinal; a unit is a completion.
        ratings_alpha_interval: The same with ratings as numbers.
    """

    counts: dict[str, Counts]
    pairs: list[PairAgreement]
    choices_alpha: float | None
    ratings_alpha: float | None
    ratings_alpha_interval: float | None


def agreement_of(answers: Iterable[GivenAnswer]) -> Agreement:
    """Count, and compare annotators with each other.

    Args:
        answers: The answers that count, of all annotators, each at most once for each item.
    """
    answers = list(answers)
    names = sorted({given.annotator for given in answers})
    own = {name: [given for given in answers if given.annotator == name] for name in names}
    chosen = {name: _choices(own[name]) for name in names}
    ratings = _units([_ratings(own[name]) for name in names])
    return Agreement(
        counts={name: Counts.of([given.answer for given in own[name]]) for name in names},
        pairs=[_pair(one, other, chosen[one], chosen[other]) for one, other in itertools.combinations(names, 2)],
        choices_alpha=krippendorff_alpha(_units(chosen.values()), "nominal"),
        ratings_alpha=krippendorff_alpha(ratings, "ordinal"),
        ratings_alpha_interval=krippendorff_alpha(ratings, "interval"),
    )


def _choices(answers: Iterable[GivenAnswer]) -> dict[Hashable, int]:
    """Item -> the best completion, or TIE; items without a choice are left out.

    With two to four completions the number of a completion means something only within its item. Chance is computed
    over all items nevertheless: numbers are given in the order in which completions were collected.
    """
    found: dict[Hashable, int] = {given.item_id: TIE for given in answers if given.answer.tie}
    return found | {given.item_id: given.answer.best for given in answers if given.answer.best is not None}


def _ratings(answers: Iterable[GivenAnswer]) -> dict[Hashable, int]:
    """(Item, completion) -> rating."""
    return {
        (given.item_id, number): rating
        for given in answers
        for number, rating in enumerate(given.answer.ratings)
        if rating is not None
    }


def _units(values_of_each: Iterable[dict[Hashable, int]]) -> list[list[int]]:
    """The values that were given to each unit, whoever gave them."""
    units: dict[Hashable, list[int]] = {}
    for values in values_of_each:
        for unit, value in values.items():
            units.setdefault(unit, []).append(value)
    return list(units.values())


def _pair(one: str, other: str, first: dict[Hashable, int], second: dict[Hashable, int]) -> PairAgreement:
    common = sorted(set(first) & set(second))  # type: ignore[type-var]
    same = sum(first[item] == second[item] for item in common)
    return PairAgreement((one, other), len(common), same / len(common) if common else None)
