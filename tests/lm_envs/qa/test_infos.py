"""What the info of an answered question tells for evaluations."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

import lm_envs  # noqa: F401 - registers the environments
from lm_envs.qa.sources import load_questions
from lm_envs.wrappers import TextInterface

SQUAD = [
    {"context": "The lamp is red.", "question": "What is red?", "answers": ["lamp", "the lamp"], "split": "train"},
    {"context": "The lamp is red.", "question": "What is blue?", "answers": [], "split": "train"},
]
CHOICES = [{"question": "2 + 2?", "choices": ["3", "4"], "answer": "4", "split": "train"}]


def _answered(answer: str, index: int = 0, **kwargs: Any) -> dict[str, Any]:
    env = TextInterface(gym.make("QA-v0", **kwargs))
    env.reset(seed=0, options={"index": index})
    return env.step(answer)[-1]


@pytest.mark.parametrize(("index", "answerable"), [(0, True), (1, False)])
@pytest.mark.parametrize("unanswerable", ["unknown", ""])
def test_it_tells_whether_there_is_an_answer(index: int, answerable: bool, unanswerable: str) -> None:
    info = _answered("lamp", index, dataset=SQUAD, dataset_kwargs={"unanswerable": unanswerable})
    assert info["answerable"] is answerable and info["choices"] == [] and "score" not in info


def test_it_tells_the_choices() -> None:
    info = _answered("B", dataset=CHOICES)
    assert info["choices"] == ["3", "4"] and info["answerable"] is True


def test_a_quarter_of_the_passages_is_silent() -> None:
    questions = load_questions("passages", "test")
    silent = [question for question in questions if not question.answerable]  # type: ignore[attr-defined]
    assert 0.15 < len(silent) / len(questions) < 0.35
    assert {question.answers for question in silent} == {("unknown",)}


def test_it_tells_what_the_verifier_gives() -> None:
    pytest.importorskip("reasoning_gym")
    kwargs = {"dataset": "reasoning_gym:chain_sum", "max_prompt_tokens": 200, "reward": "brevity"}
    gold = load_questions(kwargs["dataset"], "train")[0].answers[0]
    found = [_answered(answer, **kwargs)["score"] for answer in (gold, " ", "no")]
    assert found[0] == 1.0 and found[1] == 0.0 and found[2] < 1.0
