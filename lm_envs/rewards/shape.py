"""Rewards for the form of a text: its length and how much it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import read_column
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import ngrams_of, require_choice, require_positive_integer, words_of


@register("length")
@dataclass(frozen=True)
class Length:
    """How near a completion's length is to a target.

    Formula: ``max(0, 1 - |length - target| / target)``. Range 0 (empty, or twice the target and more) to 1.

    Args:
        target: The wanted length.
        unit: ``"words"``, ``"characters"``, or ``"tokens"`` (counted in the column ``completion_ids``).
    """

    __name__ = "length"
    target: int = 20
    unit: str = "words"

    def __post_init__(self) -> None:
        """Check the target and the unit."""
        require_positive_integer("length", "target", self.target)
        require_choice("length", "unit", self.unit, ("words", "characters", "tokens"))

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the reward cannot do without."""
        return ("completion_ids",) if self.unit == "tokens" else ()

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion."""
        lengths = self._lengths(completions, columns)
        return [max(0.0, 1 - abs(length - self.target) / self.target) for length in lengths]

    def _lengths(self, completions: Texts, columns: dict[str, Any]) -> list[int]:
        if self.unit == "tokens":
            return [len(ids) for ids in read_column(self, "completion_ids", columns)]
        if self.unit == "characters":
            return [len(text or "") for text in completions]
        return [len(words_of(text)) for text in completions]


@register("distinct")
@dataclass(frozen=True)
class Distinct:
    """Distinct-n: the share of a completion's n-grams of words that are different from each other.

    Formula: ``different n-grams / n-grams``. Range 0 (no n-gram, as in an empty text) to 1 (none occurs
    twice). A completion of fewer than ``n`` words counts as one n-gram.

    Args:
        n: The n-grams' length.

    References:
        Li et al. 2016, https://arxiv.org/abs/1510.03055
    """

    __name__ = "distinct"
    n: int = 2

    def __post_init__(self) -> None:
        """Check ``n``."""
        require_positive_integer("distinct", "n", self.n)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion."""
        grams = [_ngrams(text, self.n) for text in completions]
        return [len(set(g)) / len(g) if g else 0.0 for g in grams]


@register("repetition")
@dataclass(frozen=True)
class Repetition:
    """A penalty for saying the same again; give it a positive weight.

    Formula: ``-(N - D) / (N - 1)`` for ``N`` n-grams of words of which ``D`` are different: seq-rep-n of
    Welleck et al., rescaled so that saying one n-gram over and over is the minimum. Range -1 (nothing but
    repetition; also an empty text, so that silence does not pay) to 0 (no n-gram occurs twice). A
    completion of fewer than ``n`` words counts as one n-gram.

    Args:
        n: The n-grams' length; with 1, every word that is used twice counts.

    References:
        Welleck et al. 2020, https://arxiv.org/abs/1908.04319
    """

    __name__ = "repetition"
    n: int = 3

    def __post_init__(self) -> None:
        """Check ``n``."""
        require_positive_integer("repetition", "n", self.n)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion."""
        return [_repetition(_ngrams(text, self.n)) for text in completions]


def _ngrams(text: str | None, n: int) -> list[tuple[str, ...]]:
    words = words_of(text)
    return ngrams_of(words, min(n, len(words))) if words else []


def _repetition(ngrams: list[tuple[str, ...]]) -> float:
    if len(ngrams) < 2:
        return 0.0 if ngrams else -1.0
    return (len(set(ngrams)) - len(ngrams)) / (len(ngrams) - 1)
