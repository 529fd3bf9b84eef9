"""Is the right choice named? By its text, or by its letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.answers import normalize_answer
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import answers_in, read_column, texts_of
from lm_envs.rewards.registry import register

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_LETTERED = re.compile(r"\(?([A-Za-z])(?:\)|[.:]|\)[.:])?(?:\s+(.+))?", re.DOTALL)


def choice_named(answer: str, choices: Sequence[str]) -> str | None:
    """The choice that an answer names, or None.

    It names the choice that it equals, else the only one that it equals after SQuAD's normalisation, else the one whose
    letter it is: ``"B"``, ``"b"``, ``"(B)"``, ``"B."``, ``"B) text"``, the latter only with the choice's own text.
    """
    answer = answer.strip()
    if answer in choices:
        return answer
    wanted = normalize_answer(answer)
    equal = [choice for choice in choices if wanted and normalize_answer(choice) == wanted]
    if equal:
        return equal[0] if len(equal) == 1 else None
    lettered = _LETTERED.fullmatch(answer)
    if lettered is None:
        return None
    number = LETTERS.index(lettered[1].upper())
    if number >= len(choices):
        return None
    agrees = lettered[2] is None or normalize_answer(lettered[2]) == normalize_answer(choices[number])
    return choices[number] if agrees else None


@register("choice_accuracy")
@dataclass(frozen=True)
class ChoiceAccuracy:
    """1 if the answer names the right choice, by its text or by its letter, else 0.

    Reads the column ``choices``, and ``extracted`` instead of the completion where there is one. What counts as naming
    is told at :func:`choice_named`. The reward does not apply (None) to a row without choices or without reference.

    Args:
        column: The column with the right choices: a text or a list of texts for each row.
    """

    __name__ = "choice_accuracy"
    column: str = "reference"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the reward cannot do without."""
        return (self.column, "choices")

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float | None]:
        """1.0 or 0.0 for each answer.

        Raises:
            UnknownNameError: A column is not there.
            DataError: A reference or a choice is neither a text nor a number nor a list of these.
        """
        right = [texts_of(self, row) for row in read_column(self, self.column, columns)]
        choices = [texts_of(self, row) for row in read_column(self, "choices", columns)]
        rows = zip(answers_in(completions, columns), choices, right, strict=True)
        return [_accuracy(answer or "", *row) for answer, *row in rows]


def _accuracy(answer: str, choices: list[str], right: list[str]) -> float | None:
    return float(choice_named(answer, choices) in right) if choices and right else None
