"""Groups of episodes: each prompt that is drawn is handed out several times in a row."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import lm_envs  # noqa: F401 - registers the environments
from lm_envs.episode_starts import EpisodeStarts
from lm_envs.errors import ConfigurationError

PROMPTS = [f"number {i} is" for i in range(50)]


def length(completions: list[str], **columns: Any) -> list[float]:
    return [float(len(text)) for text in completions]


@pytest.fixture
def arguments(stand_in: str) -> dict[str, Any]:
    return {"model": stand_in, "dataset": PROMPTS, "reward": length, "max_new_tokens": 4}


def vector(num_envs: int, arguments: dict[str, Any], **more: Any) -> Any:
    return gym.make_vec("TextGen-v0", num_envs, vectorization_mode="vector_entry_point", **arguments, **more)


def starts(env: Any) -> list[int]:
    """The prompt of each row."""
    return env.unwrapped._episodes.start_index.tolist()


def begun(env: Any, actions: list[np.ndarray]) -> list[int]:
    """The prompts of all episodes that began, in order of time, then of rows."""
    found = starts(env)
    for action in actions:
        _, _, terminated, _, _ = env.step(action)
        found += [starts(env)[row] for row in np.flatnonzero(terminated)]
    return found


def some_actions(n: int, steps: int = 30) -> list[np.ndarray]:
    """Tokens of which one in five ends the text."""
    rng = np.random.default_rng(3)
    return list(np.where(rng.random((steps, n)) < 0.2, 0, rng.integers(1, 300, (steps, n))))


def test_a_draw_is_handed_out_in_a_row_and_drawn_by_its_first_episode() -> None:
    queue = EpisodeStarts(3)
    generators = [np.random.default_rng(seed) for seed in range(5)]
    indices, _ = queue.take(1000, generators)
    own = [int(np.random.default_rng(seed).integers(1000)) for seed in (0, 3)]
    assert indices.tolist() == [own[0]] * 3 + [own[1]] * 2
    assert queue.take(1000, generators[:1])[0].tolist() == [own[1]]
    assert queue.take(1000, generators[4:])[0].tolist() == [int(np.random.default_rng(4).integers(1000))]


def test_episodes_of_a_group_have_equal_generators_of_their_own() -> None:
    _, taken = EpisodeStarts(2).take(10, [np.random.default_rng(seed) for seed in range(4)])
    draws = [rng.random(3).tolist() for rng in taken]
    assert draws[0] == draws[1] and draws[2] == draws[3] and draws[0] != draws[2]
    assert len({id(rng) for rng in taken}) == 4


def test_without_groups_rows_draw_for_themselves_and_keep_their_generators() -> None:
    generators = [np.random.default_rng(seed) for seed in range(3)]
    indices, taken = EpisodeStarts(1).take(1000, generators)
    assert indices.tolist() == [int(np.random.default_rng(seed).integers(1000)) for seed in range(3)]
    assert taken == generators


def test_rows_take_copies_in_the_order_in_which_they_begin(arguments: dict[str, Any]) -> None:
    env = vector(6, arguments, group_size=4)
    env.reset(seed=0)
    order = begun(env, some_actions(6))
    groups = [order[start : start + 4] for start in range(0, len(order) - 3, 4)]
    assert len(groups) > 10
    assert all(len(set(group)) == 1 for group in groups)
    assert len({group[0] for group in groups}) > 8


def test_the_same_seed_gives_the_same_groups(arguments: dict[str, Any]) -> None:
    env, other = (vector(6, arguments, group_size=4) for _ in range(2))
    env.reset(seed=0)
    first = begun(env, some_actions(6))
    other.reset(seed=1)
    other.step(some_actions(6)[0])
    other.reset(seed=0)  # in the middle of a group: a seed begins anew
    assert begun(other, some_actions(6)) == first


def test_a_copy_goes_on_alike(arguments: dict[str, Any]) -> None:
    env = vector(3, arguments, group_size=4)
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    assert begun(env, some_actions(3)) == begun(twin, some_actions(3))


def test_chosen_prompts_come_once_and_end_the_group(arguments: dict[str, Any]) -> None:
    env = vector(2, arguments, group_size=3)
    env.reset(seed=0)
    env.reset(options={"indices": [4, 7]})
    assert starts(env) == [4, 7]
    order = begun(env, [np.zeros(2, dtype=int)] * 3)[2:]  # every text ends at once
    assert order[0] == order[1] == order[2] and order[3] == order[4] == order[5]


def test_a_single_environment_repeats_the_prompt(arguments: dict[str, Any]) -> None:
    env: Any = gym.make("TextGen-v0", **arguments, group_size=3)
    env.reset(seed=5)
    order = starts(env)
    for _ in range(8):
        env.reset()
        order += starts(env)
    groups = [set(order[start : start + 3]) for start in (0, 3, 6)]
    assert [len(group) for group in groups] == [1, 1, 1] and len(set.union(*groups)) > 1
    env.reset(options={"index": 9})
    assert starts(env) == [9]


@pytest.mark.parametrize("env_id", ["TextGen-v0", "QA-v0", "Dialogue-v0", "Tagging-v0"])
def test_every_environment_has_groups(env_id: str) -> None:
    env: Any = gym.make(env_id, group_size=2)
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=0)
    first = starts(env)
    env.reset()
    assert starts(env) == first
    with pytest.raises(ConfigurationError, match="group_size must be an integer of at least 1, got 0"):
        gym.make(env_id, group_size=0)


def test_a_group_of_conversations_meets_the_same_user() -> None:
    env: Any = gym.make_vec("Dialogue-v0", 6, vectorization_mode="vector_entry_point", group_size=3, actions="acts")
    obs, infos = env.reset(seed=1)
    ids, turns = obs["input_ids"], [list(infos["user_turn"])]
    assert (ids[0] == ids[:3]).all() and (ids[3] == ids[3:]).all() and (ids[0] != ids[3]).any()
    for action in (1, 2, 0):
        _, _, terminated, _, infos = env.step(np.full(6, action))
        told = infos.get("final_info", infos) if terminated.any() else infos
        turns.append(list(told["user_turn"]))
    assert all(len(set(said[:3])) == len(set(said[3:])) == 1 for said in turns)
