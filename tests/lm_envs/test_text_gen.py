"""The single environment."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as equal
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from lm_envs.errors import ConfigurationError, InvalidActionError, RewardError, UnknownNameError
from lm_envs.models import load_tokenizer
from lm_envs.text_gen import TextGenEnv
from lm_envs.vocabulary import Vocabulary

PROMPTS = ["The lamp is", "I like", "This chair was a very good", "She wrote a short letter"]


def n_characters(completions: list[str], **columns: Any) -> list[float]:
    """A reward that depends on the completion."""
    return [len(text) / 10 for text in completions]


def make(stand_in: str, **kwargs: Any) -> TextGenEnv:
    """An environment on the stand-in model with the prompts above."""
    return TextGenEnv(**{"model": stand_in, "dataset": PROMPTS, "reward": n_characters, "max_new_tokens": 6, **kwargs})


def play(env: gym.Env[Any, Any], actions: list[int]) -> tuple[list[Any], dict[str, Any]]:
    """The rewards of ``actions``, and the last info."""
    rewards, info = [], {}
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        rewards.append(reward)
        assert type(reward) is float and terminated is bool(info) and truncated is False
    return rewards, info


def ids(stand_in: str, text: str) -> list[int]:
    """Tokens of a text."""
    return list(load_tokenizer(stand_in)(text)["input_ids"])


def test_documentation_has_every_heading() -> None:
    headings = [line.strip() for line in (TextGenEnv.__doc__ or "").splitlines() if line.strip().startswith("## ")]
    assert headings == [
        "## Description", "## Observation Space", "## Action Space", "## Rewards", "## Starting State",
        "## Episode End", "## Information", "## Arguments", "## Version History", "## References",
    ]  # fmt: skip


@pytest.mark.parametrize("argument", TextGenEnv.__init__.__kwdefaults__)
def test_documentation_has_every_argument(argument: str) -> None:
    arguments = (TextGenEnv.__doc__ or "").split("## Arguments")[1].split("## Version")[0]
    assert f"`{argument}` (" in arguments or f"- `{argument}`:" in arguments


def test_spaces(stand_in: str) -> None:
    env = make(stand_in, max_prompt_tokens=20)
    assert env.action_space == gym.spaces.Discrete(367)
    observation, info = env.reset(seed=0)
    assert info == {}
    assert observation["input_ids"].shape == observation["attention_mask"].shape == (26,)
    assert env.observation_space.contains(observation)


def test_episode_by_budget(stand_in: str) -> None:
    env = make(stand_in)
    before, _ = env.reset(options={"index": 2})
    tokens = ids(stand_in, " bad lamp! It was fine (really)")[:6]
    rewards, info = play(env, tokens)
    completion = load_tokenizer(stand_in).decode(tokens)
    assert rewards == [0.0] * 5 + [len(completion) / 10]
    assert info == {
        "prompt": PROMPTS[2],
        "completion": completion,
        "stop_reason": "max_new_tokens",
        "n_new_tokens": 6,
        "prompt_index": 2,
        "reward_terms": {"n_characters": len(completion) / 10},
    }
    assert before["input_ids"][before["attention_mask"] == 1].tolist() == ids(stand_in, PROMPTS[2])


def test_last_action_is_in_the_observation(stand_in: str) -> None:
    env = make(stand_in)
    env.reset(options={"index": 1})
    eos = load_tokenizer(stand_in).eos_token_id
    observation, *_ = env.step(7)
    observation, _, terminated, _, info = env.step(eos)
    assert observation["input_ids"][observation["attention_mask"] == 1].tolist()[-2:] == [7, eos]
    assert terminated is True and info["stop_reason"] == "eos" and info["n_new_tokens"] == 2
    assert "<|" not in info["completion"]


def test_stop_string_is_cut_off(stand_in: str) -> None:
    env = make(stand_in, stop=["END", "."], max_new_tokens=20)
    env.reset(seed=0)
    tokens = ids(stand_in, " good. I")
    end = next(n for n in range(1, 9) if "." in load_tokenizer(stand_in).decode(tokens[:n]))
    _, info = play(env, tokens[:end])
    assert info["stop_reason"] == "stop" and info["completion"] == " good"


def test_reward_gets_columns_and_tokens(stand_in: str) -> None:
    seen: dict[str, Any] = {}

    def spy(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        seen.update(columns, prompts=prompts, completions=completions)
        return [1.0]

    rows = [{"text": "The lamp", "answer": 3, "unused": "x"}]
    env = make(stand_in, dataset=rows, reward=spy, prompt_column="text", columns=["answer"], max_new_tokens=2)
    env.reset(seed=0)
    play(env, [5, 6])
    assert seen["prompts"] == ["The lamp"] and seen["answer"] == [3] and "unused" not in seen
    assert seen["prompt_ids"] == [ids(stand_in, "The lamp")] and seen["completion_ids"] == [[5, 6]]


def test_terms_sum_to_the_return(stand_in: str) -> None:
    def words(completions: list[str], **columns: Any) -> list[float]:
        return [float(len(text.split())) for text in completions]

    words.per_step = True  # type: ignore[attr-defined]
    env = make(stand_in, reward={n_characters: 0.5, words: -0.1})
    for _ in range(2):  # sums start anew
        env.reset(seed=0)
        rewards, info = play(env, ids(stand_in, " very good and it")[:6])
        assert set(info["reward_terms"]) == {"words", "n_characters"}
        assert min(rewards[1:5]) < 0
        assert sum(info["reward_terms"].values()) == pytest.approx(sum(rewards))
        assert info["reward_terms"]["n_characters"] == pytest.approx(0.05 * len(info["completion"]))


def test_no_decoding_before_the_end(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make(stand_in)
    env.reset(seed=0)
    calls: list[Any] = []
    monkeypatch.setattr(Vocabulary, "decode", lambda self, ids: calls.append(ids) or [""])
    play(env, [5] * 5)
    assert not calls
    play(env, [5])
    assert calls == [[[5] * 6]]


def test_token_rewards(stand_in: str) -> None:
    def by_token(completion_ids: list[list[int]], completions: list[str], **columns: Any) -> list[list[float]]:
        return [[0.5 * token for token in tokens] for tokens in completion_ids]

    env = make(stand_in, reward={by_token: 2.0}, max_new_tokens=3)
    env.reset(seed=0)
    rewards, info = play(env, [5, 6, 7])
    assert rewards == [0.0, 0.0, 18.0]
    assert info["token_rewards"] == [5.0, 6.0, 7.0]


def test_step_before_reset_and_after_the_end(stand_in: str) -> None:
    env = make(stand_in, max_new_tokens=1)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(5)
    env.reset(seed=0)
    env.step(5)
    with pytest.raises(ResetNeeded, match="after an episode's end"):
        env.step(5)
    env.reset()
    env.step(5)


@pytest.mark.parametrize("action", [367, -1, 10**12])
def test_action_outside_the_vocabulary(stand_in: str, action: int) -> None:
    env = make(stand_in)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=rf"the action {action} is outside the vocabulary .* 0 to 366"):
        env.step(action)
    env.step(366)  # the episode goes on, and ids without a token are legal


@pytest.mark.parametrize("action", [1.0, np.float32(3), True, None, "a", np.zeros(367)])
def test_action_of_another_type(stand_in: str, action: Any) -> None:
    env = make(stand_in)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="an action is a token id"):
        env.step(action)


def test_action_of_another_shape(stand_in: str) -> None:
    env = make(stand_in)
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match=r"of shape \(\), got shape \(1,\)"):
        env.step(np.array([3]))


@pytest.mark.parametrize("action", [3, np.int64(3), np.array(3), np.uint8(3)])
def test_integers_of_all_kinds(stand_in: str, action: Any) -> None:
    env = make(stand_in)
    env.reset(seed=0)
    observation, *_ = env.step(action)
    assert observation["input_ids"][observation["attention_mask"].sum() - 1] == 3


def test_failing_reward_ends_the_episode(stand_in: str) -> None:
    def broken(completions: list[str], **columns: Any) -> list[float]:
        return [float("nan")]

    env = make(stand_in, reward=broken, max_new_tokens=1)
    env.reset(seed=0)
    with pytest.raises(RewardError, match="broken"):
        env.step(5)
    with pytest.raises(ResetNeeded):
        env.step(5)


def test_reset_options(stand_in: str) -> None:
    env = make(stand_in)
    for index in range(4):
        env.reset(options={"index": index})
        _, info = play(env, [0])
        assert info["prompt"] == PROMPTS[index] and info["prompt_index"] == index


@pytest.mark.parametrize("index", [4, -1, 1.5, "a"])
def test_bad_index(stand_in: str, index: Any) -> None:
    with pytest.raises(ConfigurationError, match="'index' must hold prompt numbers from 0 to 3"):
        make(stand_in).reset(options={"index": index})


def test_unknown_option(stand_in: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown reset option 'indx'. Did you mean 'index'"):
        make(stand_in).reset(options={"indx": 1})


def test_prompts_are_drawn_by_np_random(stand_in: str) -> None:
    env = make(stand_in)
    drawn = []
    for seed in (7, None, None, None, None, None):
        env.reset(seed=seed)
        drawn.append(play(env, [0])[1]["prompt_index"])
    expected = np.random.Generator(np.random.PCG64(7)).integers(4, size=6)
    assert drawn == expected.tolist()


def test_twins_agree_for_50_steps(stand_in: str) -> None:
    twins = [make(stand_in), make(stand_in)]
    assert equal(*(env.reset(seed=3) for env in twins), exact=True)
    for action in np.random.default_rng(0).integers(0, 367, 50):
        steps = [env.step(action) for env in twins]
        assert equal(*steps, exact=True)
        if steps[0][2]:
            assert equal(*(env.reset() for env in twins), exact=True)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_alike(stand_in: str, copied: Any) -> None:
    env = make(stand_in, stop="xyz", min_new_tokens=2)
    env.reset(seed=3)
    env.step(5)
    twin = copied(env)
    for action in np.random.default_rng(0).integers(0, 367, 20):
        steps = [each.step(action) for each in (env, twin)]
        assert equal(*steps, exact=True)
        if steps[0][2]:
            assert equal(env.reset(), twin.reset(), exact=True)


def test_pickle_leaves_tokens_out(stand_in: str) -> None:
    env = make(stand_in, dataset=PROMPTS * 200)
    env.reset(seed=0)
    assert len(pickle.dumps(env)) < 20_000 and b"PreTrained" not in pickle.dumps(env)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"max_new_tokens": 1},
    {"stop": ".", "render_mode": "ansi"},
    {"render_mode": "human", "max_new_tokens": 1},
    {"max_prompt_tokens": 2},
    {"min_new_tokens": 3},
    {"shaping": True, "render_mode": "ansi"},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_both_checkers(stand_in: str, variant: dict[str, Any]) -> None:
    kwargs = {"model": stand_in, "dataset": PROMPTS, "reward": n_characters, **variant}
    env = gym.make("TextGen-v0", **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
        sb3_check_env(env.unwrapped, warn=True, skip_render_check=False)


def test_made_environment_counts_as_gymnasiums(stand_in: str) -> None:
    env = gym.make("TextGen-v0", model=stand_in, dataset=PROMPTS, reward=n_characters, max_episode_steps=2)
    env.reset(seed=0)
    env.step(5)
    _, _, terminated, truncated, info = env.step(5)
    assert (terminated, truncated, info) == (False, True, {})


def test_the_reference_text_is_told_where_the_data_have_one(stand_in: str) -> None:
    rows = [{"prompt": f"the cat {n}", "reference": reference} for n, reference in enumerate(("a", ["b", "c"], None))]
    kwargs = {"model": stand_in, "dataset": [{**row, "split": "train"} for row in rows], "reward": "length"}
    envs = gym.make_vec("TextGen-v0", 3, "vector_entry_point", max_new_tokens=1, **kwargs)
    envs.reset(seed=0, options={"indices": [0, 1, 2]})
    infos = envs.step(np.array([5, 5, 5]))[-1]["final_info"]
    assert infos["reference"].tolist()[:2] == ["a", ["b", "c"]] and infos["_reference"].tolist() == [True, True, False]
