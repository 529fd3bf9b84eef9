"""The space that explores as the language model writes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from gymnasium.spaces import Discrete

from lm_envs.wrappers import CandidateActions
from lm_envs.wrappers.candidate_space import CandidateSpace

PROBS = np.array([[0.5, 0.2, 0.1], [0.01, 0.01, 0.6], [0.3, 0.1, 0.3]], dtype=np.float32)
LEGAL = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0]], dtype=bool)


@pytest.fixture
def space():
    space = CandidateSpace(3, seed=0)
    space.follow(np.log(PROBS), LEGAL)
    return space


def test_rows_take_turns_with_their_own_probabilities(space):
    draws = np.array([space.sample() for _ in range(9_000)]).reshape(-1, 3)
    expected = np.where(LEGAL, PROBS, 0.0)
    expected /= expected.sum(axis=1, keepdims=True)
    for row in range(3):
        frequencies = np.bincount(draws[:, row], minlength=3) / 3_000
        assert frequencies == pytest.approx(expected[row], abs=0.03)
    assert isinstance(space.sample(), np.int64) and space.sample() in space


def test_a_new_step_begins_with_row_0(space):
    space.sample()
    certain = np.array([[0.0, -np.inf], [-np.inf, 0.0]], dtype=np.float32)
    space = CandidateSpace(2)
    for _ in range(3):
        space.follow(certain, np.ones((2, 2), dtype=bool))
        assert space.sample() == 0
    assert [space.sample(), space.sample(), space.sample()] == [1, 0, 1]


def test_it_is_a_plain_discrete_to_others(space):
    assert space == Discrete(3) and Discrete(3) == space and space != Discrete(4)
    assert space.sample(mask=np.array([0, 0, 1], dtype=np.int8)) == 2
    assert space.sample(probability=np.array([0.0, 1.0, 0.0])) == 1


def test_seed(space):
    space.seed(4)
    first = [space.sample() for _ in range(12)]
    space.seed(4)
    assert [space.sample() for _ in range(12)] == first and len(set(first)) > 1


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda space: pickle.loads(pickle.dumps(space))])
def test_a_copy_samples_uniformly(space, copied):
    twin = copied(space)
    assert twin == space and twin._log_probs is None
    frequencies = np.bincount([twin.sample() for _ in range(3_000)], minlength=3) / 3_000
    assert frequencies == pytest.approx(np.full(3, 1 / 3), abs=0.04)


def test_an_environment_keeps_it_up_to_date(make_envs):
    envs = CandidateActions(make_envs(2), 5, sample="lm", temperature=0.05)  # nearly greedy
    envs.reset(seed=0)
    for _ in range(6):
        slots = [envs.single_action_space.sample() for _ in range(2)]
        best = np.exp(envs._rows._current["candidate_log_probs"][:, 0])
        assert all(slot == 0 for slot, p in zip(slots, best, strict=True) if p > 0.9999)
        envs.step(np.array(slots))
    assert envs.action_space.sample().shape == (2,)


def test_uniform_is_the_plain_space(make_env):
    assert type(CandidateActions(make_env(), 5).action_space) is Discrete
