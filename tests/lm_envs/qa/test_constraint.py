"""Answers that can only be choices."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th

from agents import LMMaskableActorCriticPolicy
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.qa.constraint import ChoiceTrie, written_choices
from lm_envs.qa.questions import Question
from lm_envs.qa.vector_env import QAVectorEnv

END = 9


@pytest.mark.parametrize(
    ("written", "following"),
    [([], [1, 2]), ([1], [3, END]), ([1, 3], [4]), ([1, 3, 4], [END]), ([2], [END]), ([3], [END]), ([1, 4], [END])],
)
def test_what_may_follow(written: list[int], following: list[int]) -> None:
    trie = ChoiceTrie([[1], [1, 3, 4], [2]], [END])
    assert trie.following(written).tolist() == following


@pytest.mark.parametrize(("prompt", "written"), [("What?", " red"), ("Name: ", "red"), ("Name:\n", "red"), ("", "red")])
def test_choices_are_written_as_words_behind_the_prompt(prompt: str, written: str) -> None:
    assert written_choices(prompt, ["red", "big lamp"])[0] == written


def rows(choices: list[str]) -> list[dict[str, Any]]:
    return [
        {"question": "Which?", "choices": ["a", "b"], "answer": 0},
        {"question": "?", "choices": choices, "answer": 0},
    ]


def test_choices_must_differ_in_their_tokens(lm_folder: str) -> None:
    message = "the choice ' the Ö' of question 1 has the same tokens as ' the Ä' .*Change it, or take actions='choice'"
    with pytest.raises(DataError, match=message):  # the tokenizer drops letters that it does not know
        QAVectorEnv(1, model=lm_folder, dataset=rows(["the Ä", "the Ö"]), constrain=True, max_prompt_tokens=8)
    with pytest.raises(ConfigurationError, match="written ' the ', from which 'the' is read; expected 'the Ä'.*lose"):
        QAVectorEnv(1, model=lm_folder, dataset=rows(["the Ä", "bad"]), constrain=True, max_prompt_tokens=8)


def test_a_choice_without_tokens(few: Any) -> None:
    class Blank(few):
        def __getitem__(self, index: int) -> Question:
            return Question("Name: ", ("A",), ("A", ""), {"n": 0})

    with pytest.raises(DataError, match="the choice '' of question 0 has no tokens"):
        QAVectorEnv(1, dataset=Blank, constrain=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"answer": "tags"},
            "question 0 is written ' a', from which '' is read; expected 'a'. Leave out answer='tags'",
        ),
        ({"stop": "a"}, r"from which '' is read; .* stop=\['a'\]"),
    ],
)
def test_choices_must_be_read_as_what_they_are(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        QAVectorEnv(1, dataset=rows(["x", "y"]), constrain=True, **arguments)


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
