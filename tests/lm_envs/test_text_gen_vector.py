"""The vector environment: the same episodes, many at once."""

from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence as equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from lm_envs.errors import ConfigurationError, InvalidActionError, RewardError, UnknownNameError
from lm_envs.models import load_tokenizer
from lm_envs.text_gen import TextGenEnv
from lm_envs.text_gen_vector import TextGenVectorEnv

ROWS = [{"prompt": p, "n": i} for i, p in enumerate(["The lamp is", "I like", "This chair was a very good", ""])]


def score(prompts: list[str], completions: list[str], n: list[int], **columns: Any) -> list[float]:
    """A reward that depends on prompt, completion and column."""
    return [len(p) + len(c) / 10 - k for p, c, k in zip(prompts, completions, n, strict=True)]


def growth(completions: list[str], **columns: Any) -> list[float]:
    """A step reward."""
    return [0.01 * len(text) for text in completions]


growth.per_step = True  # type: ignore[attr-defined]

VARIANTS: list[dict[str, Any]] = [
    {},
    {"max_new_tokens": 1},
    {"stop": ["a", "He"], "max_prompt_tokens": 3},
    {"reward": {score: 1.0, growth: 0.5}},
    {"min_new_tokens": 3, "stop": "a"},
    {"shaping": True, "reward": {score: 1.0, growth: 0.5}},
]


def arguments(stand_in: str, **kwargs: Any) -> dict[str, Any]:
    return {"model": stand_in, "dataset": ROWS, "reward": score, "max_new_tokens": 5, **kwargs}


def some_actions(steps: int, n: int, seed: int = 0) -> Any:
    """Random tokens, one in ten the end of text."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((steps, n)) < 0.1, 0, rng.integers(0, 367, (steps, n)))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: ",".join(v))
@pytest.mark.parametrize("seed", [0, [5, 3, 9]])
def test_equals_sync_vector_env(stand_in: str, variant: dict[str, Any], seed: Any) -> None:
    kwargs = arguments(stand_in, **variant)
    ours = TextGenVectorEnv(3, **kwargs)
    theirs = SyncVectorEnv([lambda: TextGenEnv(**kwargs)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert equal(ours.reset(seed=seed), theirs.reset(seed=seed), exact=True)
    assert ours.np_random_seed == theirs.np_random_seed
    n_ended = 0
    for actions in some_actions(60, 3):
        mine, other = ours.step(actions), theirs.step(actions)
        assert equal(mine[:4], other[:4], exact=True)
        assert same_infos(mine[4], other[4])
        n_ended += mine[2].sum()
    assert n_ended > 20
    assert equal(ours.reset(), theirs.reset(), exact=True)


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


def test_rows_equal_single_environments(stand_in: str) -> None:
    kwargs = arguments(stand_in)
    envs = TextGenVectorEnv(4, **kwargs)
    singles = [TextGenEnv(**kwargs) for _ in range(4)]
    observation, _ = envs.reset(seed=11)
    for row, env in enumerate(singles):
        assert equal(env.reset(seed=11 + row)[0], {key: value[row] for key, value in observation.items()})
    for actions in some_actions(30, 4, seed=1):
        observation, rewards, terminations, truncations, infos = envs.step(actions)
        assert not truncations.any()
        for row, env in enumerate(singles):
            last, reward, terminated, _, info = env.step(actions[row])
            assert rewards[row] == reward and terminations[row] == terminated
            if terminated:
                assert infos["_final_info"][row] and equal(infos["final_obs"][row], last)
                assert infos["final_info"]["completion"][row] == info["completion"]
                terms = infos["final_info"]["reward_terms"]
                assert {k: v[row] for k, v in terms.items() if k[0] != "_"} == info["reward_terms"]
                last, _ = env.reset()
            assert equal(last, {key: value[row] for key, value in observation.items()})


def test_one_reward_call_for_all_that_end(stand_in: str) -> None:
    calls: list[list[str]] = []

    def spy(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        calls.append(prompts)
        return [1.0] * len(prompts)

    envs = TextGenVectorEnv(3, **arguments(stand_in, reward=spy, max_new_tokens=4))
    envs.reset(options={"indices": [0, 1, 2]})
    envs.step([0, 5, 0])
    envs.step([5, 5, 5])
    envs.step([5, 5, 5])
    assert calls == [[ROWS[0]["prompt"], ROWS[2]["prompt"]]]
    envs.step([5, 5, 5])
    assert calls[1] == [ROWS[1]["prompt"]]


def test_metadata_and_infos_before_the_end(stand_in: str) -> None:
    envs = TextGenVectorEnv(2, **arguments(stand_in))
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.reset(seed=0)[1] == {}
    observation, rewards, terminations, truncations, infos = envs.step(np.array([5, 5]))
    assert infos == {} and not terminations.any() and not truncations.any()
    assert rewards.dtype == np.float64 and terminations.dtype == truncations.dtype == np.bool_
    assert envs.observation_space.contains(observation)


def test_no_array_is_shared_between_calls(stand_in: str) -> None:
    envs = TextGenVectorEnv(2, **arguments(stand_in, max_new_tokens=1))
    calls: list[Any] = [(envs.reset(seed=0)[0],)]
    for _ in range(3):
        observation, *rest, infos = envs.step(np.array([5, 6]))
        calls.append((observation, *rest, *infos["final_obs"]))
    arrays = [a for call in calls for part in call for a in (part.values() if isinstance(part, dict) else [part])]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    kept = copy.deepcopy(calls[0])
    envs.step(np.array([7, 7]))
    assert equal(kept, calls[0])


def test_reset_mask(stand_in: str) -> None:
    envs = TextGenVectorEnv(3, **arguments(stand_in))
    envs.reset(options={"indices": [0, 1, 2]})
    before = envs.step([5, 6, 7])[0]
    mask = np.array([False, True, False])
    after, _ = envs.reset(options={"reset_mask": mask, "indices": [0, 0, 0]})
    assert equal({k: v[[0, 2]] for k, v in after.items()}, {k: v[[0, 2]] for k, v in before.items()})
    assert after["attention_mask"][1].sum() == len(load_tokenizer(stand_in)("The lamp is")["input_ids"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indices": [0, 1]}, "'indices' must hold one value for each of the 3 environments"),
        ({"indices": [0, 1, 4]}, "'indices' must hold prompt numbers from 0 to 3"),
        ({"reset_mask": [True]}, "'reset_mask' must hold one value for each of the 3"),
        ({"reset_mask": np.zeros(3, dtype=bool)}, "'reset_mask' must be a bool array with at least one True"),
        ({"reset_mask": [1, 0, 1]}, "'reset_mask' must be a bool array"),
    ],
)
def test_bad_options(stand_in: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TextGenVectorEnv(3, **arguments(stand_in)).reset(options=options)


def test_unknown_option(stand_in: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown reset option 'index'. Did you mean 'indices'"):
        TextGenVectorEnv(3, **arguments(stand_in)).reset(options={"index": 1})


def test_seeds_of_another_number(stand_in: str) -> None:
    with pytest.raises(ConfigurationError, match="seed must hold one value for each of the 3 environments"):
        TextGenVectorEnv(3, **arguments(stand_in)).reset(seed=[1, 2])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([5, 400, -1], "the action 400 of environment 1 is outside the vocabulary"),
        ([5.0, 1.0, 2.0], "an action is a token id, .* got float64"),
        (
            np.zeros((3, 367), dtype=int),
            r"for each of the 3 environments, of shape \(3,\), got shape \(3, 367\)",
        ),
        (5, r"of shape \(3,\), got shape \(\)"),
        ([True, False, True], "an action is a token id"),
    ],
)
def test_bad_actions(stand_in: str, actions: Any, message: str) -> None:
    envs = TextGenVectorEnv(3, **arguments(stand_in))
    before, _ = envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match=message):
        envs.step(actions)
    after = envs.step(np.array([5, 5, 5]))[0]
    assert (after["attention_mask"].sum(1) == before["attention_mask"].sum(1) + 1).all()


def test_step_before_reset_and_after_a_failed_reward(stand_in: str) -> None:
    def broken(completions: list[str], **columns: Any) -> list[float]:
        raise KeyError("x")

    envs = TextGenVectorEnv(2, **arguments(stand_in, reward=broken, max_new_tokens=1))
    with pytest.raises(ResetNeeded):
        envs.step([5, 5])
    envs.reset(seed=0)
    with pytest.raises(RewardError, match="broken"):
        envs.step([5, 5])
    with pytest.raises(ResetNeeded):
        envs.step([5, 5])


@pytest.mark.parametrize("num_envs", [0, -3, 1.5, None, True])
def test_number_of_environments(stand_in: str, num_envs: Any) -> None:
    with pytest.raises(ConfigurationError, match="num_envs must be an integer of at least 1"):
        TextGenVectorEnv(num_envs, **arguments(stand_in))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
def test_copies_go_on_alike(stand_in: str, copied: Any) -> None:
    envs = TextGenVectorEnv(3, **arguments(stand_in, reward={score: 1.0, growth: 0.5}, min_new_tokens=2, shaping=True))
    envs.reset(seed=3)
    envs.step([5, 0, 6])
    twin = copied(envs)
    for actions in some_actions(12, 3):
        assert equal(envs.step(actions)[:4], twin.step(actions)[:4], exact=True)


def test_gymnasium_vector_wrappers(stand_in: str) -> None:
    envs = gym.wrappers.vector.RecordEpisodeStatistics(gym.make_vec("TextGen-v0", 2, **arguments(stand_in)))
    envs.reset(seed=0)
    infos: dict[str, Any] = {}
    for _ in range(5):
        infos = envs.step(np.array([5, 6]))[4]
    assert infos["episode"]["l"].tolist() == [5, 5]


def test_tokens_per_second(stand_in: str) -> None:
    """Far above what a loop over environments reaches (about 30,000); the benchmark has the real number."""
    envs = TextGenVectorEnv(256, **arguments(stand_in, max_new_tokens=64))
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(3, 360, (64, 256))
    rates = []
    for _ in range(4):
        start = time.perf_counter()
        for action in actions:
            envs.step(action)
        rates.append(actions.size / (time.perf_counter() - start))
    assert max(rates) > 250_000
