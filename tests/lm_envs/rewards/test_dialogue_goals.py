"""Rewards for the user's goal, and for what the partner itself scores."""

import pickle

import pytest

from lm_envs import rewards
from lm_envs.errors import RewardError, UnknownNameError
from lm_envs.rewards import make_reward

TERMS = [{"slots": 0.5, "politeness": 1.0}, {"slots": -0.25, "politeness": 0.0}, {}]


def score(spec: str, **columns: list) -> list:
    n = len(next(iter(columns.values())))
    return make_reward(spec).terms[0].function(prompts=["hello"] * n, completions=["hi"] * n, **columns)


def test_success_is_one_and_anything_else_is_zero() -> None:
    assert score("goal_success", success=[True, False, None]) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("slots_filled", [0.5, -0.25, 0.0]),
        ("politeness", [1.0, 0.0, 0.0]),
        ("partner", [1.5, -0.25, 0.0]),
        ("partner:term=slots", [0.5, -0.25, 0.0]),
    ],
)
def test_terms_of_the_partner(spec: str, expected: list) -> None:
    assert score(spec, partner_terms=TERMS) == expected


@pytest.mark.parametrize(("spec", "term"), [("slots_filled", "slots"), ("politeness", "politeness")])
def test_a_score_that_the_partner_does_not_give(spec: str, term: str) -> None:
    with pytest.raises(RewardError, match=f"unknown score of the partner '{term}'.*Known: joy.*reward '{spec}'"):
        score(spec, partner_terms=[{"joy": 1.0}])
    with pytest.raises(RewardError, match="unknown score of the partner 'slot'. Did you mean 'slots'"):
        score("partner:term=slot", partner_terms=TERMS)


@pytest.mark.parametrize("spec", ["slots_filled", "politeness", "partner", "turn_cost", "asked_again"])
def test_paid_after_each_turn(spec: str) -> None:
    assert make_reward(spec).terms[0].per_turn


@pytest.mark.parametrize("spec", ["goal_success", "sentiment"])
def test_paid_at_the_end(spec: str) -> None:
    assert not make_reward(spec).terms[0].per_turn


@pytest.mark.parametrize(
    ("spec", "column"),
    [
        ("goal_success", "success"),
        ("slots_filled", "partner_terms"),
        ("politeness", "partner_terms"),
        ("partner", "partner_terms"),
        ("turn_cost", "turn"),
        ("asked_again", "messages"),
        ("non_repetition", "messages"),
        ("user_sentiment", "messages"),
    ],
)
class TestColumns:
    def test_wrong_environment_shows_at_construction(self, spec: str, column: str) -> None:
        with pytest.raises(UnknownNameError, match=f"column '{column}'.*reward '{spec}' is for conversations"):
            make_reward(spec).check_columns(["reference"])

    def test_right_environment(self, spec: str, column: str) -> None:
        make_reward(spec).check_columns(rewards.combination.DIALOGUE_COLUMNS)

    def test_pickle(self, spec: str, column: str) -> None:
        assert pickle.loads(pickle.dumps(make_reward(spec))).terms == make_reward(spec).terms
