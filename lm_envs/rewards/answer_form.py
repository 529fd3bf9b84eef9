"""The form of an answer: whether there is one where it should be, and how long the completion is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import ConfigurationError
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import answers_in, read_column
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_choice, require_positive_integer, words_of


@register("answer_format")
@dataclass(frozen=True)
class AnswerFormat:
    """1 if there is an answer where one is looked for, right or wrong, else 0.

    Reads the column ``extracted``, what was read from the completion (for example between ``<answer>`` tags), or the
    completion where there is no such column. A blank answer and None score 0.

    Args:
        pattern: What the whole answer has to look like, a pattern of Python's ``re``; None: anything.

    References:
        The format reward of DeepSeek-R1, https://arxiv.org/abs/2501.12948
    """

    __name__ = "answer_format"
    pattern: str | None = None

    def __post_init__(self) -> None:
        """Check the pattern."""
        try:
            re.compile(self.pattern or "")
        except (re.error, TypeError) as error:
            raise ConfigurationError(
                f"pattern of the reward 'answer_format' has to be a regular expression, got {self.pattern!r}: {error}."
            ) from error

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """1.0 or 0.0 for each answer."""
        return [float(self._fits((answer or "").strip())) for answer in answers_in(completions, columns)]

    def _fits(self, answer: str) -> bool:
        return bool(answer) and (self.pattern is None or re.fullmatch(self.pattern, answer) is not None)


@register("brevity")
@dataclass(frozen=True)
class Brevity:
    """How short a completion is.

    Formula: ``(limit - length) / (limit - target)``, clipped to 0 to 1: 1 up to the target, and 0 from the limit on.
    Silence is no brevity: a completion of length 0 scores 0. The whole completion counts, not only the answer in it.

    Args:
        target: The length up to which a completion is short; less than ``limit``.
        limit: The length from which on it is too long.
        unit: ``"words"``, ``"characters"``, or ``"tokens"`` (counted in the column ``completion_ids``).
    """

    __name__ = "brevity"
    target: int = 1
    limit: int = 16
    unit: str = "words"

    def __post_init__(self) -> None:
        """Check the lengths and the unit."""
        require_positive_integer("brevity", "target", self.target)
        require_positive_integer("brevity", "limit", self.limit)
        require_choice("brevity", "unit", self.unit, ("words", "characters", "tokens"))
        if self.target >= self.limit:
            raise ConfigurationError(
                f"target of the reward 'brevity' has to be less than its limit, got {self.target} and {self.limit}."
            )

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the reward cannot do without."""
        return ("completion_ids",) if self.unit == "tokens" else ()

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion."""
        return [self._score(length) for length in self._lengths(completions, columns)]

    def _lengths(self, completions: Texts, columns: dict[str, Any]) -> list[int]:
        if self.unit == "tokens":
            ids = read_column(self, "completion_ids", columns)
            return [len(tokens) if (text or "").strip() else 0 for tokens, text in zip(ids, completions, strict=True)]
        if self.unit == "characters":
            return [len((text or "").strip()) for text in completions]
        return [len(words_of(text)) for text in completions]

    def _score(self, length: int) -> float:
        return min(1.0, max(0.0, (self.limit - length) / (self.limit - self.target))) if length else 0.0
