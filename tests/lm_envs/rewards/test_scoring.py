import numpy as np
import pytest

from lm_envs.errors import ConfigurationError, RewardError, UnknownNameError
from lm_envs.rewards.scoring import score_texts


def length(completions, **columns):
    return [float(len(text)) for text in completions]


def same(completions, reference, **columns):
    return [float(text == gold) for text, gold in zip(completions, reference, strict=True)]


def test_scores_are_the_weighted_sum():
    scores = score_texts({length: 2.0, same: 10.0}, ["p", "p"], ["a", "bb"], {"reference": ["a", "a"]})
    assert scores.dtype == np.float64
    assert scores.tolist() == [12.0, 4.0]


def test_no_texts_have_no_scores():
    assert score_texts(length, [], []).shape == (0,)


def test_a_reward_that_is_paid_at_each_step_has_no_score():
    def per_step(completions, **columns):
        return [0.0 for _ in completions]

    per_step.per_step = True
    with pytest.raises(ConfigurationError, match="'per_step' is paid at each step"):
        score_texts([length, per_step], ["p"], ["a"])


def test_a_missing_column_and_a_broken_reward():
    with pytest.raises(UnknownNameError, match="unknown column 'reference'"):
        score_texts(same, ["p"], ["a"])
    with pytest.raises(RewardError, match="returned 0 values for 1 episodes"):
        score_texts(lambda completions: [], ["p"], ["a"])
    with pytest.raises(ConfigurationError, match="as many completions as prompts"):
        score_texts(length, ["p"], ["a", "b"])
