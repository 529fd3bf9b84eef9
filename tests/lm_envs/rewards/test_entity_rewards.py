"""Rewards for labels: gold is the maximum; garbage, nothing and None are the minimum."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from lm_envs.rewards import get, make_reward

GOLD = ["B-PER", "I-PER", "O", "B-LOC"]


def score(name: str, labels: Any, gold: Any = GOLD) -> float:
    (value,) = get(name)(prompts=["p"], completions=["c"], labels=[labels], gold=[gold])
    return float(value)


def test_gold_is_the_maximum() -> None:
    assert score("entity_f1", GOLD) == 1.0
    assert score("entity_f1", ["O", "O"], ["O", "O"]) == 1.0
    assert sum(score("token_accuracy", GOLD[:n]) for n in range(1, 5)) == pytest.approx(1.0)


@pytest.mark.parametrize("labels", [["I-LOC", "I-PER", "B-X", "??"], ["??"] * 4, [], None, ["O"] * 9, ["O"] * 4])
def test_garbage_is_the_minimum(labels: Any) -> None:
    assert score("entity_f1", labels) == 0.0


@pytest.mark.parametrize("labels", [["??"], [], None, ["B-PER", "O"], [*GOLD, "O"]])
def test_a_wrong_label_is_worth_nothing(labels: Any) -> None:
    assert score("token_accuracy", labels) == 0.0


def test_part_of_it() -> None:
    assert score("entity_f1", ["B-PER", "O", "O", "B-LOC"]) == pytest.approx(0.5)
    assert score("entity_f1", ["B-PER", "I-PER"]) == pytest.approx(2 / 3)  # the rest is not labelled
    assert score("token_accuracy", ["O", "I-PER"]) == 0.25
    assert score("entity_f1", None, ["O"]) == 0.0  # nobody said that there is none
    assert score("entity_f1", ["B-PER"], ["O"]) == 0.0


def test_when_they_are_paid() -> None:
    rewards = make_reward({"entity_f1": 0.5, "token_accuracy": 0.5})
    assert [term.per_step for term in rewards.terms] == [False, True]
    assert pickle.loads(pickle.dumps(rewards)).terms == rewards.terms
