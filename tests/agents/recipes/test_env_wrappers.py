from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import pytest

import lm_envs  # noqa: F401
from agents.recipes.env_wrappers import CANDIDATES, describe, read_entries, with_candidates, wrapper_stack
from lm_envs.errors import ConfigurationError

ENV = {"max_prompt_tokens": 8, "max_new_tokens": 4}


def test_rl_zoo_s_notations_are_the_same() -> None:
    assert read_entries(None) == []
    assert read_entries("a.B") == read_entries(["a.B"]) == read_entries([{"a.B": None}]) == [{"a.B": {}}]
    assert read_entries({"a.B": {"k": 2}}) == [{"a.B": {"k": 2}}]


@pytest.mark.parametrize("value", [3, ["B"], [{"a.B": 3}], [{"a.B": {}, "a.C": {}}], [["a.B"]]])
def test_what_is_no_wrapper_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        read_entries(value)


def test_candidates_come_first_and_keep_their_other_arguments() -> None:
    entries = read_entries([{CANDIDATES: {"k": 16, "sample": "lm"}}, "a.B"])
    assert with_candidates(entries, 4) == [{CANDIDATES: {"k": 4, "sample": "lm"}}, {"a.B": {}}]
    assert with_candidates(entries, 0) == [{"a.B": {}}]
    assert with_candidates([{"a.B": {}}], 4) == [{CANDIDATES: {"k": 4}}, {"a.B": {}}]
    assert describe(entries) == "CandidateActions(k=16, sample=lm), B()"


def test_single_and_vector_environments_are_wrapped_from_the_inside_out() -> None:
    entries = read_entries([{CANDIDATES: {"k": 4}}, {"lm_envs.wrappers.HiddenStateObservation": {"normalize": True}}])
    stack = wrapper_stack(entries, device="cpu")
    assert stack is not None and pickle.loads(pickle.dumps(stack)) == stack
    env = stack(gym.make("TextGen-v0", **ENV))
    envs = stack(gym.make_vec("TextGen-v0", num_envs=2, **ENV))
    assert env.action_space.n == envs.single_action_space.n == 4
    assert env.observation_space.shape == envs.single_observation_space.shape
    assert wrapper_stack([]) is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"lm_envs.wrappers.Candidates": {}}, "cannot import the wrapper 'lm_envs.wrappers.Candidates'"),
        ({CANDIDATES: {"kk": 4}}, "CandidateActions refuses its arguments"),
        ({CANDIDATES: {"k": 0}}, "k must be"),
    ],
)
def test_mistakes_show_when_the_environment_is_wrapped(entry: dict[str, Any], message: str) -> None:
    stack = wrapper_stack([entry])
    assert stack is not None
    with pytest.raises(ConfigurationError, match=message):
        stack(gym.make("TextGen-v0", **ENV))
