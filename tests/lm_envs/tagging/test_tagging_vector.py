"""The vector environment: the same episodes, many at once."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence as equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from lm_envs.errors import InvalidActionError
from lm_envs.tagging.env import TaggingEnv
from lm_envs.tagging.vector_env import TaggingVectorEnv

ROWS = [
    {"words": ["the", "good", "bad", "is"], "labels": ["O", "B-X", "I-X", "O"]},
    {"words": ["was"], "labels": ["B-Y"]},
    {"words": ["a", "zebra"], "labels": ["O", "O"]},
]


def at_end(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    return [len(prompt) + len(text) / 10 for prompt, text in zip(prompts, completions, strict=True)]


def arguments(folder: str, **kwargs: Any) -> dict[str, Any]:
    return {"model": folder, "dataset": ROWS, "max_words": 5, "max_tokens": 16, **kwargs}


def same_infos(a: Any, b: Any) -> bool:
    """Equal in structure, types and values, object arrays included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_infos(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) and a.dtype == object:
        return b.dtype == object and all(same_infos(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


@pytest.mark.parametrize("variant", [{}, {"constrain": True}, {"reward": at_end}], ids=lambda v: ",".join(v))
@pytest.mark.parametrize("seed", [0, [5, 3, 9]])
def test_equals_sync_vector_env(lm_folder: str, variant: dict[str, Any], seed: Any) -> None:
    kwargs = arguments(lm_folder, **variant)
    ours = TaggingVectorEnv(3, **kwargs)
    theirs = SyncVectorEnv([lambda: TaggingEnv(**kwargs)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert equal(ours.reset(seed=seed), theirs.reset(seed=seed), exact=True)
    rng = np.random.default_rng(0)
    n_ended = 0
    for _ in range(60):
        actions = rng.integers(0, 5, 3)
        mine, other = ours.step(actions), theirs.step(actions)
        assert equal(mine[:4], other[:4], exact=True)
        assert same_infos(mine[4], other[4])
        assert ours.observation_space.contains(mine[0])
        n_ended += mine[2].sum()
    assert n_ended > 20
    assert equal(ours.reset(), theirs.reset(), exact=True)


def test_copies_go_on_alike(lm_folder: str) -> None:
    envs = TaggingVectorEnv(2, **arguments(lm_folder))
    envs.reset(seed=0)
    envs.step([1, 0])
    twins = [envs, copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))]
    for action in range(20):
        outcomes = [twin.step([action % 5, 0]) for twin in twins]
        assert all(equal(outcome[:4], outcomes[0][:4], exact=True) for outcome in outcomes)


def test_rows_can_be_chosen_and_reset_alone(lm_folder: str) -> None:
    envs = gym.make_vec("Tagging-v0", num_envs=2, **arguments(lm_folder))
    assert envs.unwrapped.label_names == ("O", "B-X", "I-X", "B-Y", "I-Y")  # type: ignore[attr-defined]
    envs.reset(options={"indices": [0, 2]})
    envs.step(np.array([0, 0]))
    obs, _ = envs.reset(options={"reset_mask": np.array([False, True]), "indices": [0, 1]})
    assert obs["labels"][:, 0].tolist() == [0, -1]
    *_, infos = envs.step(np.array([1, 3]))
    assert infos["final_info"]["words"][1] == ["was"] and infos["_final_info"].tolist() == [False, True]
    with pytest.raises(InvalidActionError, match="environment 1 is none of the 5 labels"):
        envs.step(np.array([0, 5]))
