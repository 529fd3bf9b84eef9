"""Answers that can only be choices."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th

from agents import LMMaskableActorCriticPolicy
from lm_envs.errors import DataError
from lm_envs.qa.constraint import ChoiceTrie, choice_tokens
from lm_envs.qa.vector_env import QAVectorEnv
from lm_envs.vocabulary import load_vocabulary

END = 9


@pytest.mark.parametrize(
    ("written", "following"),
    [([], [1, 2]), ([1], [3, END]), ([1, 3], [4]), ([1, 3, 4], [END]), ([2], [END]), ([3], [END]), ([1, 4], [END])],
)
def test_what_may_follow(written: list[int], following: list[int]) -> None:
    trie = ChoiceTrie([[1], [1, 3, 4], [2]], [END])
    assert trie.following(written).tolist() == following


def test_choices_are_written_as_words_behind_the_prompt() -> None:
    vocabulary = load_vocabulary("tiny")
    decode = vocabulary.tokenizer.decode
    assert [decode(ids) for ids in choice_tokens(vocabulary, "What?", ["red", "big lamp"])] == [" red", " big lamp"]
    assert [decode(ids) for ids in choice_tokens(vocabulary, "Name: ", ["red"])] == ["red"]


@pytest.mark.parametrize(("choices", "message"), [(["red", "red"], "the same tokens as 'red'"), (["", "a"], "")])
def test_choices_must_differ(choices: list[str], message: str) -> None:
    if not message:  # behind a space an empty choice is the space
        assert choice_tokens(load_vocabulary("tiny"), "What?", choices)
        with pytest.raises(DataError, match="the choice '' has no tokens"):
            choice_tokens(load_vocabulary("tiny"), "What? ", choices)
        return
    with pytest.raises(DataError, match=message):
        choice_tokens(load_vocabulary("tiny"), "What?", choices)


@pytest.mark.parametrize("dataset", ["sentiment", "topic", "intent", "relation"])
def test_every_answer_of_a_constrained_agent_is_a_choice(dataset: str) -> None:
    """10,000 random steps over the four data sets: legal actions lead to a choice, and to nothing else."""
    envs = QAVectorEnv(50, dataset=dataset, constrain=True)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    n_ended = 0
    for _ in range(50):
        masks = envs.action_masks()
        assert masks.any(axis=1).all()
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        asked = list(envs._episodes._asked)
        _, _, terminated, _, infos = envs.step(actions)
        for row in np.flatnonzero(terminated):
            assert infos["final_info"]["stop_reason"][row] == "eos"
            assert infos["final_info"]["answer"][row] in asked[row].choices
            n_ended += 1
    assert n_ended > 400


def test_after_an_illegal_token_only_the_end_is_legal(few: Any) -> None:
    env = gym.make("QA-v0", dataset=few, constrain=True)
    env.reset(seed=0, options={"index": 1})
    env.step(700)
    assert np.flatnonzero(env.unwrapped.action_masks()).tolist() == list(env.unwrapped.vocabulary.eos_ids)
    *_, terminated, _, info = env.step(env.unwrapped.vocabulary.eos_ids[0])
    assert terminated and not info["is_success"]


def test_a_policy_gives_illegal_tokens_probability_zero() -> None:
    envs = QAVectorEnv(8, dataset="relation", constrain=True)
    obs, _ = envs.reset(seed=0)
    space = envs.single_observation_space, envs.single_action_space
    policy = LMMaskableActorCriticPolicy(*space, lambda _: 0.0, model="tiny", trainable="heads")
    for _ in range(4):
        tensors = {name: th.as_tensor(values) for name, values in obs.items()}
        probabilities = policy.get_distribution(tensors).distribution.probs
        assert (probabilities[th.as_tensor(obs["action_mask"]) == 0] == 0).all()
        actions, _ = policy.predict(obs)
        assert obs["action_mask"][np.arange(8), actions].all()
        obs, *_ = envs.step(actions)
