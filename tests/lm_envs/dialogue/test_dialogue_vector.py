"""The vector environment: the same conversations, many at once."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence as equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from lm_envs.dialogue.env import DialogueEnv
from lm_envs.dialogue.vector_env import DialogueVectorEnv
from lm_envs.errors import ConfigurationError, InvalidActionError, PartnerError

TURN_END = 2  # of tiny


def letters(completions: list[str], **columns: Any) -> list[float]:
    """A reward for the whole conversation."""
    return [len(text) / 10 for text in completions]


def each_turn(completions: list[str], turn: list[int], success: list[Any], **columns: Any) -> list[float | None]:
    """A reward for a turn that does not apply to all of them."""
    return [None if number == 2 else -0.1 * number for number in turn]


each_turn.per_turn = True  # type: ignore[attr-defined]

SMALL = {"max_tokens": 90, "max_user_tokens": 12, "max_turn_tokens": 6}
VARIANTS: list[dict[str, Any]] = [
    {},
    {**SMALL, "on_overflow": "drop"},
    {**SMALL, "stop": ["a", "!"], "system": "Be kind."},
    {"actions": "acts", "reward": {each_turn: 1.0, letters: 2.0}},
    {**SMALL, "actions": "acts", "on_overflow": "drop", "max_turn_tokens": 24},
    {"max_turns": 1, "max_turn_tokens": 1},
    {"partner": "agenda"},
]


def arguments(shop: Any, **kwargs: Any) -> dict[str, Any]:
    reward = {each_turn: 0.5, letters: 1.0, "partner": 1.0}
    n_tokens = 24 if kwargs.get("actions") == "acts" else 5  # the longest phrase has to fit
    return {"partner": shop, "reward": reward, "max_turn_tokens": n_tokens, **kwargs}


def some_actions(envs: Any, steps: int, seed: int = 0) -> Any:
    """Random actions; where they are tokens, one in four ends the turn."""
    rng, n_actions = np.random.default_rng(seed), envs.single_action_space.n
    drawn = rng.integers(n_actions, size=(steps, envs.num_envs))
    return drawn if n_actions < 50 else np.where(rng.random(drawn.shape) < 0.25, TURN_END, drawn)


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


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: ",".join(v))
@pytest.mark.parametrize("seed", [0, [5, 3, 9]])
def test_equals_sync_vector_env(shop: Any, variant: dict[str, Any], seed: Any) -> None:
    kwargs = arguments(shop, **variant)
    if kwargs["partner"] == "agenda":
        del kwargs["reward"]
    ours = DialogueVectorEnv(3, **kwargs)
    theirs = SyncVectorEnv([lambda: DialogueEnv(**kwargs)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    mine, other = ours.reset(seed=seed), theirs.reset(seed=seed)
    assert equal(mine[0], other[0], exact=True) and same_infos(mine[1], other[1])
    n_ended = n_turns = 0
    for actions in some_actions(ours, 80):
        step, reference = ours.step(actions), theirs.step(actions)
        assert equal(step[:4], reference[:4], exact=True)
        assert same_infos(step[4], reference[4])
        n_ended += step[2].sum()
        n_turns += step[4].get("_turn", np.zeros(3)).sum()
    assert n_ended > 2 and (n_turns > 5 or variant.get("max_turns") == 1)
    mine, other = ours.reset(), theirs.reset()
    assert equal(mine[0], other[0], exact=True) and same_infos(mine[1], other[1])


def test_rows_equal_single_environments(shop: Any) -> None:
    kwargs = arguments(shop, **SMALL, on_overflow="drop")
    envs = DialogueVectorEnv(4, **kwargs)
    singles = [DialogueEnv(**kwargs) for _ in range(4)]
    observation, _ = envs.reset(seed=11)
    for row, env in enumerate(singles):
        assert equal(env.reset(seed=11 + row)[0], {key: value[row] for key, value in observation.items()})
    for actions in some_actions(envs, 120, seed=1):
        observation, rewards, terminations, truncations, infos = envs.step(actions)
        assert not truncations.any()
        for row, env in enumerate(singles):
            last, reward, terminated, _, info = env.step(actions[row])
            assert rewards[row] == reward and terminations[row] == terminated
            told = infos.get("final_info", {}) if terminated else infos
            for key in ("agent_turn", "user_turn", "turn", "messages", "stop_reason"):
                assert (key in info) == (key in told and bool(told[f"_{key}"][row]))
                assert key not in info or told[key][row] == info[key]
            if terminated:
                assert equal(infos["final_obs"][row], last)
                terms = infos["final_info"]["reward_terms"]
                assert {k: v[row] for k, v in terms.items() if k[0] != "_"} == info["reward_terms"]
                last, _ = env.reset()
            assert equal(last, {key: value[row] for key, value in observation.items()})


def test_partner_and_rewards_are_asked_once_a_step(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    reply = shop.reply
    monkeypatch.setattr(shop, "reply", lambda self, rows, heard: asked.append(list(rows)) or reply(self, rows, heard))
    scored: list[int] = []

    def spy(completions: list[str], **columns: Any) -> list[float]:
        scored.append(len(completions))
        return [0.0] * len(completions)

    spy.per_turn = True  # type: ignore[attr-defined]
    envs = DialogueVectorEnv(4, **arguments(shop, reward={spy: 1.0, letters: 1.0}, partner_kwargs={"leaves": 10**6}))
    envs.reset(seed=0)
    envs.step([9, TURN_END, 9, TURN_END])
    envs.step([9, 9, 9, 9])
    assert asked == [[1, 3]] and scored == [2]
    envs.step([TURN_END] * 4)
    assert asked[1:] == [[0, 1, 2, 3]] and scored[1:] == [4]


def test_no_array_is_shared_between_calls(shop: Any) -> None:
    for actions in ("tokens", "acts"):
        n_tokens = 1 if actions == "tokens" else 24
        envs = DialogueVectorEnv(2, **arguments(shop, max_turn_tokens=n_tokens, actions=actions))
        calls: list[Any] = [(envs.reset(seed=0)[0],)]
        for _ in range(6):
            observation, *rest, infos = envs.step(np.array([1, 1]))
            calls.append((observation, *rest, *(final for final in infos.get("final_obs", ()) if final is not None)))
        arrays = [a for call in calls for part in call for a in (part.values() if isinstance(part, dict) else [part])]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_indices_and_reset_mask(shop: Any) -> None:
    envs = DialogueVectorEnv(3, **arguments(shop, partner_kwargs={"leaves": 10**6}, actions="acts"))
    _, infos = envs.reset(seed=0, options={"indices": [0, 1, 2]})
    assert [text.split(", number")[0] for text in infos["user_turn"]] == [
        "I want a lamp", "I want a table", "I want two chairs",
    ]  # fmt: skip
    before = envs.step([0, 1, 0])[0]
    mask = np.array([False, True, False])
    after, infos = envs.reset(options={"reset_mask": mask, "indices": [0, 3, 0]})
    assert equal({k: v[[0, 2]] for k, v in after.items()}, {k: v[[0, 2]] for k, v in before.items()})
    assert infos["user_turn"][1].startswith("I want tea") and infos["_user_turn"].tolist() == mask.tolist()
    assert after["dialogue_state"].tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    *_, infos = envs.step([1, 1, 1])
    assert infos["turn"].tolist() == [2, 1, 2]
    for index in (7, -1):
        with pytest.raises(ConfigurationError, match="'indices' must hold prompt numbers from 0 to 6"):
            envs.reset(options={"indices": [0, 1, index]})


def test_a_reset_of_some_rows_only_is_not_enough_at_the_beginning(shop: Any) -> None:
    envs = DialogueVectorEnv(2, **arguments(shop))
    envs.reset(seed=0, options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded):
        envs.step([9, 9])
    envs.reset(options={"reset_mask": np.array([False, True])})
    envs.step([9, 9])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
@pytest.mark.parametrize("variant", VARIANTS[:5], ids=lambda v: ",".join(v))
def test_copies_go_on_alike(shop: Any, copied: Any, variant: dict[str, Any]) -> None:
    envs = DialogueVectorEnv(3, **arguments(shop, **variant))
    envs.reset(seed=3)
    for actions in some_actions(envs, 15, seed=1):
        envs.step(actions)
    twin = copied(envs)
    for actions in some_actions(envs, 50):
        step, other = envs.step(actions), twin.step(actions)
        assert equal(step[:4], other[:4], exact=True) and same_infos(step[4], other[4])


def test_infos_of_another_type_in_each_row(shop: Any) -> None:
    """Arrays of infos get their dtype from the first row that has the key, as in SyncVectorEnv."""
    kwargs = arguments(shop, max_turn_tokens=1, partner_kwargs={"leaves": 4})
    ours = DialogueVectorEnv(4, **kwargs)
    theirs = SyncVectorEnv([lambda: DialogueEnv(**kwargs)] * 4, autoreset_mode=AutoresetMode.SAME_STEP)
    ours.reset(seed=0), theirs.reset(seed=0)
    dtypes = set()
    for _ in range(12):
        mine, other = ours.step([9] * 4)[4], theirs.step([9] * 4)[4]
        assert same_infos(mine, other)
        dtypes.add(mine["day"].dtype)
    assert dtypes == {np.dtype(int), np.dtype(float)}


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([5, 4000, -1], "the action 4000 of environment 1 is outside the vocabulary"),
        ([5.0, 1.0, 2.0], "an action is a token id, .* got float64"),
        (5, r"of shape \(3,\), got shape \(\)"),
    ],
)
def test_bad_actions(shop: Any, actions: Any, message: str) -> None:
    envs = DialogueVectorEnv(3, **arguments(shop))
    before, _ = envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match=message):
        envs.step(actions)
    after = envs.step(np.array([5, 5, 5]))[0]
    assert (after["attention_mask"].sum(1) == before["attention_mask"].sum(1) + 1).all()


def test_bad_acts(shop: Any) -> None:
    envs = DialogueVectorEnv(2, **arguments(shop, actions="acts"))
    envs.reset(seed=0)
    with pytest.raises(InvalidActionError, match="the action 3 of environment 1 is none of the 3 dialogue acts"):
        envs.step([0, 3])
    with pytest.raises(InvalidActionError, match="one dialogue act's number for each of the 2 environments"):
        envs.step([0])
    envs.step([0, 2])


def test_a_partner_that_fails_in_one_row(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    envs = DialogueVectorEnv(3, **arguments(shop))
    envs.reset(seed=0)
    fails = {1}
    reply = shop._reply
    monkeypatch.setattr(shop, "_reply", lambda self, row: 1 / 0 if row in fails else reply(self, row))
    envs.step([9, 9, 9])
    with pytest.raises(PartnerError, match=r"raised ZeroDivisionError: .* \(rows \[0, 1\]\)"):
        envs.step([TURN_END, TURN_END, 9])
    with pytest.raises(ResetNeeded):
        envs.step([9, 9, 9])
    fails.clear()
    envs.reset()
    envs.step([TURN_END, TURN_END, 9])


def test_rendering_and_wrappers(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    envs = gym.make_vec("Dialogue-v0", 2, **arguments(shop, render_mode="ansi", partner_kwargs={"leaves": 10**6}))
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    envs.reset(seed=0)
    envs.step(np.array([TURN_END, 9]))
    texts = envs.render()
    assert texts is not None and len(texts) == 2
    assert texts[0].startswith("user    I want ") and texts[0].count("\nagent   ") == 2
    assert texts[1].count("\nagent   ") == 1


@pytest.mark.parametrize("num_envs", [0, -3, 1.5, None, True])
def test_number_of_environments(shop: Any, num_envs: Any) -> None:
    with pytest.raises(ConfigurationError, match="num_envs must be an integer of at least 1"):
        DialogueVectorEnv(num_envs, **arguments(shop))


def test_an_opening_for_each_row(shop: Any) -> None:
    class Few(shop):  # type: ignore[misc,valid-type]
        def open(self, rows: Any, scenarios: Any, rngs: Any) -> Any:
            return super().open(rows, scenarios, rngs)[:1]

    envs = DialogueVectorEnv(3, **arguments(Few))
    with pytest.raises(PartnerError, match=r"open of the partner 'Few' returned .* for 3 rows\. Expected a list"):
        envs.reset(seed=0)
