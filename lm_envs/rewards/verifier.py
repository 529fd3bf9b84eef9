"""The score of the data's own verifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import RewardError
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import answers_in, read_column
from lm_envs.rewards.registry import register


@register("verifier")
@dataclass(frozen=True)
class Verifier:
    """What the question's own verifier gives for the answer. Range: the verifier's, from 0 for no answer.

    Reads a column of functions, one for each row, that are called with the answer and return a number; and the column
    ``extracted`` instead of the completion where there is one. A blank answer and None score 0 unasked. A row without a
    function is not judged (None).

    Args:
        column: The column with the verifiers.

    References:
        Stojanovski et al. 2025, https://arxiv.org/abs/2505.24760
    """

    __name__ = "verifier"
    column: str = "score"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the reward cannot do without."""
        return (self.column,)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float | None]:
        """Score each answer.

        Raises:
            UnknownNameError: The column is not there.
            RewardError: It has something that cannot be called.
        """
        verifiers = read_column(self, self.column, columns)
        answers = answers_in(completions, columns)
        return [self._score(verify, (text or "").strip()) for verify, text in zip(verifiers, answers, strict=True)]

    def _score(self, verify: Any, answer: str) -> float | None:
        if verify is None:
            return None
        if not callable(verify):
            raise RewardError(
                f"the reward 'verifier' expects a function of the answer in each row of the column {self.column!r}, "
                f"got {verify!r} ({type(verify).__name__}). Name the right column: 'verifier:column=...'."
            )
        return float(verify(answer)) if answer else 0.0
