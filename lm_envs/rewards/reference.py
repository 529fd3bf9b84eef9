"""What rewards share that compare a completion with reference texts."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import DataError, UnknownNameError
from lm_envs.rewards.protocol import Texts


@dataclass(frozen=True)
class ReferenceReward(abc.ABC):
    """A reward that compares each completion with the reference texts in a column.

    Range 0 to 1. A completion that equals a reference, apart from surrounding white space, scores 1; an
    empty one or None scores 0. With several references, see the subclass. A row whose reference is None
    or an empty list has nothing to compare with: the reward does not apply to it (None).

    Args:
        column: The column with the references: a text or a list of texts for each row.
    """

    column: str = "reference"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the reward cannot do without."""
        return (self.column,)

    @abc.abstractmethod
    def score(self, completion: str, references: list[str]) -> float:
        """Score one completion, which is not blank, against its references, at least one and none blank."""

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float | None]:
        """Score each completion.

        Raises:
            UnknownNameError: The column is not there.
            DataError: A reference is neither a text nor a number nor a list of these.
        """
        rows = read_column(self, self.column, columns)
        pairs = zip(completions, rows, strict=True)
        return [self._score_row(text or "", texts_of(self, row)) for text, row in pairs]

    def _score_row(self, completion: str, references: list[str]) -> float | None:
        if not references:
            return None
        completion = completion.strip()
        if any(completion == reference.strip() for reference in references):
            return 1.0
        references = [reference for reference in references if reference.strip()]
        return self.score(completion, references) if completion and references else 0.0


class AnswerReward(ReferenceReward):
    """A reward that judges the answer: the column ``extracted`` where there is one, else the completion.

    Question answering brings that column: what was read from the completion, ``""`` for no answer.
    """

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float | None]:
        """Score each answer; raises as :class:`ReferenceReward`."""
        return super().__call__(prompts, answers_in(completions, columns), **columns)


EXTRACTED = "extracted"


def answers_in(completions: Texts, columns: Mapping[str, Any]) -> Texts:
    """What to judge: the column ``extracted``, the answers read from the completions; else the completions."""
    return completions if columns.get(EXTRACTED) is None else columns[EXTRACTED]


def read_column(reward: Any, column: str, columns: Mapping[str, Any]) -> Sequence[Any]:
    """The column ``column``; raises UnknownNameError, naming the reward, if it is not there."""
    if column not in columns:
        remedy = f"The reward {reward.__name__!r} reads it: add it to the data, or set the reward's `column`."
        raise UnknownNameError.for_name("column", column, columns, remedy)
    return columns[column]


def texts_of(reward: Any, value: Any) -> list[str]:
    """The texts in one row of a column: a text, a number, a list of these, or None for no text."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None or value != value:  # not a number: how pandas says None
        return []
    if isinstance(value, (str, int, float)):
        return [str(value)]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in texts_of(reward, item)]
    raise DataError(
        f"the reward {reward.__name__!r} expects a text or a list of texts in each row, got {value!r} "
        f"({type(value).__name__})."
    )
