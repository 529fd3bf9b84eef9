"""A few questions of all kinds, for tests of the environment."""

from __future__ import annotations

from typing import Any

import pytest

from lm_envs.qa.questions import Question, Questions

FEW = [
    Question("The lamp is red. What is red?", ("lamp", "the lamp"), ("lamp", "chair"), {"n": 0}),
    Question("What is two and two?", ("four",), ("four", "five", "forty"), {"n": 1}),
    Question("Name a letter: ", ("B",), ("A", "B", "C", "D"), {"n": 2}),
]


class FewQuestions(Questions):
    """Three questions with two, three and four choices."""

    columns = ("n",)
    max_choices = 4

    def __init__(self, split: str, default_reward: Any = "exact_match") -> None:
        self.default_reward = default_reward  # type: ignore[misc]

    def __len__(self) -> int:
        return len(FEW)

    def __getitem__(self, index: int) -> Question:
        return FEW[index]


@pytest.fixture
def few() -> type[FewQuestions]:
    """Questions with different numbers of choices."""
    return FewQuestions
