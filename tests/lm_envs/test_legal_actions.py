"""Legal actions: which they are, where they show, and what an illegal one does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence as equal

from lm_envs.legal_actions import LegalActions, legal_actions
from lm_envs.text_gen import TextGenEnv
from lm_envs.text_gen_vector import TextGenVectorEnv
from lm_envs.token_state import TokenState
from lm_envs.vocabulary import Vocabulary

EOS = 0  # of the stand-in model


def one(completions: list[str], **columns: Any) -> list[float]:
    """A reward."""
    return [1.0] * len(completions)


def arguments(stand_in: str, **kwargs: Any) -> dict[str, Any]:
    return {"model": stand_in, "dataset": ["The lamp", "I like"], "reward": one, "max_new_tokens": 5, **kwargs}


def test_mask_of_some_rows() -> None:
    vocabulary = Vocabulary(model="none", size=6, pad_id=0, eos_ids=(1, 4), max_positions=None)
    state = TokenState(3, 6, pad_id=0)
    state.start(np.arange(3), np.full((3, 2), 5), np.array([1, 2, 2]))
    state.append(np.array([5, 5, 5]))
    state.start(np.array([1]), np.array([[5, 5]]), np.array([2]))
    state.append(np.array([5, 5, 5]))  # 2, 1 and 2 generated tokens
    rule = legal_actions(vocabulary, min_new_tokens=2)
    early = [True, False, True, True, False, True]
    assert rule.mask(state, np.array([1, 2])).tolist() == [early, [True] * 6]
    assert rule.mask(state, np.array([0])).all()
    free = legal_actions(vocabulary, min_new_tokens=0)
    assert type(free) is LegalActions and not free.restricts and rule.restricts
    assert free.mask(state, np.arange(3)).tolist() == [[True] * 6] * 3


def test_masks_in_the_single_environment(stand_in: str) -> None:
    env = TextGenEnv(**arguments(stand_in, min_new_tokens=2))
    observation, _ = env.reset(seed=0)
    for n_tokens in range(6):
        mask = env.action_masks()
        assert mask.shape == (367,) and mask.dtype == np.bool_
        assert np.flatnonzero(~mask).tolist() == ([EOS] if n_tokens < 2 else [])
        assert observation["action_mask"].dtype == np.int8 and (observation["action_mask"] == mask).all()
        assert env.observation_space.contains(observation)
        if n_tokens < 5:
            observation, *_ = env.step(7)


def test_an_early_end_is_appended_and_ends_nothing(stand_in: str) -> None:
    env = TextGenEnv(**arguments(stand_in, min_new_tokens=2))
    env.reset(seed=0)
    for _ in range(2):
        observation, reward, terminated, _, info = env.step(EOS)
        assert observation["input_ids"][observation["attention_mask"].sum() - 1] == EOS
        assert (reward, terminated, info) == (0.0, False, {})
    *_, terminated, _, info = env.step(EOS)
    assert terminated and info["stop_reason"] == "eos" and info["n_new_tokens"] == 3 and info["completion"] == ""


def test_as_many_tokens_as_the_budget(stand_in: str) -> None:
    env = TextGenEnv(**arguments(stand_in, min_new_tokens=5))
    env.reset(seed=0)
    assert [env.step(EOS)[2] for _ in range(4)] == [False] * 4
    *_, terminated, _, info = env.step(EOS)
    assert terminated and info["stop_reason"] == "max_new_tokens"


def test_stop_strings_end_early(stand_in: str) -> None:
    env = TextGenEnv(**arguments(stand_in, min_new_tokens=4, stop="a"))
    env.reset(seed=0)
    token = env._episodes.vocabulary.tokenizer.convert_tokens_to_ids("a")
    *_, terminated, _, info = env.step(token)
    assert terminated and info["stop_reason"] == "stop"


def test_masks_in_the_vector_environment(stand_in: str) -> None:
    envs = TextGenVectorEnv(3, **arguments(stand_in, min_new_tokens=1, stop="a"))
    observation, _ = envs.reset(seed=0)
    token = envs._episodes.vocabulary.tokenizer.convert_tokens_to_ids("a")
    for actions in ([token, 7, EOS], [7, EOS, token]):
        mask = envs.action_masks()
        assert mask.shape == (3, 367) and mask.dtype == np.bool_
        assert observation["action_mask"].dtype == np.int8 and (observation["action_mask"] == mask).all()
        assert envs.observation_space.contains(observation)
        observation, _, terminations, _, infos = envs.step(actions)
    assert terminations.tolist() == [False, True, True]
    assert observation["action_mask"][:, EOS].tolist() == [1, 0, 0]
    assert infos["final_obs"][1]["action_mask"].all() and infos["final_obs"][2]["action_mask"].all()
    assert infos["final_info"]["stop_reason"].tolist()[1:] == ["eos", "stop"]


def test_masks_are_new_arrays(stand_in: str) -> None:
    envs = TextGenVectorEnv(2, **arguments(stand_in, min_new_tokens=1))
    observation, _ = envs.reset(seed=0)
    observation["action_mask"][:] = 0
    envs.action_masks()[:] = False
    assert envs.action_masks().sum() == 2 * 366


@pytest.mark.parametrize("n_envs", [None, 2])
def test_without_a_minimum_everything_is_legal_and_observations_say_nothing(stand_in: str, n_envs: int | None) -> None:
    env: Any = TextGenVectorEnv(n_envs, **arguments(stand_in)) if n_envs else TextGenEnv(**arguments(stand_in))
    observation, _ = env.reset(seed=0)
    assert set(observation) == set(env.observation_space.spaces) == {"input_ids", "attention_mask"}
    assert env.action_masks().all() and env.action_masks().shape == ((2, 367) if n_envs else (367,))


def test_minimum_of_zero_is_none(stand_in: str) -> None:
    envs = [TextGenVectorEnv(2, **arguments(stand_in, **extra)) for extra in ({}, {"min_new_tokens": 0})]
    assert equal(*(env.reset(seed=0) for env in envs), exact=True)
    assert equal(*(env.step([EOS, 5])[:4] for env in envs), exact=True)
