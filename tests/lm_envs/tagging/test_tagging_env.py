"""``Tagging-v0``: observations, rewards, ends, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from lm_envs.errors import ConfigurationError, DataError, InvalidActionError, ModelError, UnknownNameError
from lm_envs.models import load_tokenizer
from lm_envs.tagging.env import TaggingEnv
from lm_envs.wrappers import CandidateActions, HiddenStateObservation

ROWS: list[dict[str, Any]] = [
    {"words": ["the", "good", "bad", "is", "?"], "labels": ["O", "B-X", "I-X", "O", "B-Y"]},
    {"words": ["was", "a", "zebra"], "labels": ["O", "O", "O"]},
]
LABELS = ("O", "B-X", "I-X", "B-Y", "I-Y")


@pytest.fixture(params=["causal", "encoder"])
def folder(request: pytest.FixtureRequest) -> str:
    """A causal language model and an encoder."""
    return str(request.getfixturevalue("lm_folder" if request.param == "causal" else "bert_folder"))


def make(folder: str, **kwargs: Any) -> TaggingEnv:
    return TaggingEnv(**{"model": folder, "dataset": ROWS, "max_words": 6, "max_tokens": 20, **kwargs})


def play(env: Any, labels: list[str], index: int = 0) -> tuple[list[float], dict[str, Any], list[Any]]:
    observations = [env.reset(seed=0, options={"index": index})[0]]
    rewards, info, terminated = [], {}, False
    for label in labels:
        assert not terminated and info == {}
        obs, reward, terminated, truncated, info = env.step(env.unwrapped.label_names.index(label))
        assert not truncated
        observations.append(obs)
        rewards.append(reward)
    assert terminated
    return rewards, info, observations


@pytest.mark.parametrize("kwargs", [{}, {"constrain": True}, {"reward": "token_accuracy"}], ids=str)
def test_both_env_checkers(folder: str, kwargs: dict[str, Any]) -> None:
    check_env(make(folder, **kwargs), skip_render_check=True)
    sb3_check_env(make(folder, **kwargs))


def test_the_sentence_stays_and_the_cursor_moves(folder: str) -> None:
    env = make(folder)
    _, _, observations = play(env, ROWS[1]["labels"], index=1)
    tokenizer = load_tokenizer(folder)
    for key in ("input_ids", "attention_mask"):
        assert all(np.array_equal(obs[key], observations[0][key]) for obs in observations)
    (n_tokens,) = {int(obs["attention_mask"].sum()) for obs in observations}
    ids = observations[0]["input_ids"][:n_tokens].tolist()
    assert ids == tokenizer("was a zebra")["input_ids"]
    cursors = [int(obs["cursor"][0]) for obs in observations]
    assert cursors[2] == cursors[3] == n_tokens - 1 and cursors[0] < cursors[1] < cursors[2]
    read = [tokenizer.decode(ids[: cursor + 1]) for cursor in cursors]
    assert read == ["was", "was a", "was a zebra", "was a zebra"]  # each word is read whole
    assert [obs["labels"].tolist() for obs in observations[::3]] == [[-1] * 6, [0, 0, 0, -1, -1, -1]]
    assert all(obs in env.observation_space for obs in observations)


def test_special_tokens_are_no_words(stand_in_with_bos: str) -> None:
    env = make(stand_in_with_bos)
    obs, _ = env.reset(options={"index": 1})
    assert obs["input_ids"][0] == load_tokenizer(stand_in_with_bos).bos_token_id and obs["cursor"][0] > 0


def test_gold_labels_give_one(folder: str) -> None:
    for index, row in enumerate(ROWS):
        rewards, info, _ = play(make(folder), row["labels"], index)
        assert sum(rewards) == pytest.approx(1.0)
        assert info["reward_terms"] == pytest.approx({"entity_f1": 0.5, "token_accuracy": 0.5})
        assert info["is_success"] and info["labels"] == info["gold"] == row["labels"]


def test_rewards_and_the_last_info(folder: str) -> None:
    rewards, info, _ = play(make(folder), ["O", "B-X", "O", "O", "B-Y"])
    assert rewards == pytest.approx([0.1, 0.1, 0.0, 0.1, 0.1 + 0.5 * 0.5])  # 1 of 2 entities, 2 predicted
    assert info == {
        "prompt": "the good bad is ?",
        "completion": "O B-X O O B-Y",
        "stop_reason": "labelled",
        "n_new_tokens": 5,
        "prompt_index": 0,
        "reward_terms": pytest.approx({"token_accuracy": 0.4, "entity_f1": 0.25}),
        "words": ROWS[0]["words"],
        "labels": ["O", "B-X", "O", "O", "B-Y"],
        "gold": ROWS[0]["labels"],
        "is_success": False,
    }


def test_nothing_right_gives_nothing(folder: str) -> None:
    rewards, info, _ = play(make(folder), ["B-Y", "O", "O", "B-Y", "O"])
    assert sum(rewards) == 0.0 and not info["is_success"]


def test_own_reward_reads_the_columns(folder: str) -> None:
    calls: list[dict[str, Any]] = []

    def spy(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        calls.append({"prompts": prompts, "completions": completions, **columns})
        return [0.5]

    rewards, _, _ = play(make(folder, reward=spy), ["O", "O", "I-X"], index=1)
    assert rewards == [0.0, 0.0, 0.5]
    (call,) = calls
    ids = load_tokenizer(folder)("was a zebra")["input_ids"]
    assert call == {
        "prompts": ["was a zebra"],
        "completions": ["O O I-X"],
        "words": [["was", "a", "zebra"]],
        "labels": [["O", "O", "I-X"]],
        "gold": [["O", "O", "O"]],
        "prompt_ids": [ids],
        "completion_ids": [[0, 0, 2]],
    }


def test_constrained_labels_never_break_an_entity(folder: str) -> None:
    env = make(folder, constrain=True)
    rng = np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    before = ""
    for _ in range(500):
        mask = obs["action_mask"].astype(bool)
        assert np.array_equal(mask, env.action_masks()) and mask[0]
        legal = [label for label, allowed in zip(LABELS, mask, strict=True) if allowed]
        assert legal == [label for label in LABELS if label[0] != "I" or (before and before[1:] == label[1:])]
        before = str(rng.choice(legal))
        obs, _, terminated, _, _ = env.step(LABELS.index(before))
        if terminated:
            obs, before = env.reset()[0], ""
    assert play(env, ["I-X", "O", "O", "O", "I-Y"])[1]["reward_terms"]["entity_f1"] == 0.0  # illegal, and taken
    assert "action_mask" not in make(folder).reset()[0]


def test_same_seed_same_episodes_and_copies_go_on(folder: str) -> None:
    first, second = (make(folder, dataset=None, max_words=10, max_tokens=50) for _ in range(2))
    rng = np.random.default_rng(0)
    assert first.reset(seed=3)[0]["input_ids"].tolist() == second.reset(seed=3)[0]["input_ids"].tolist()
    twins = [first, copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    for _ in range(50):
        action = rng.integers(first.action_space.n)
        outcomes = [env.step(action) for env in twins]
        assert all(data_equivalence(outcome, outcomes[0], exact=True) for outcome in outcomes)
        if outcomes[0][2]:
            starts = [env.reset() for env in twins]
            assert all(data_equivalence(start, starts[0], exact=True) for start in starts)


def test_the_small_world_through_gym_make() -> None:
    env = gym.make("Tagging-v0", split="test", render_mode="ansi")
    assert env.unwrapped.label_names[:3] == ("O", "B-ANIMAL", "I-ANIMAL")  # type: ignore[attr-defined]
    obs, _ = env.reset(seed=0)
    assert env.unwrapped.messages[0]["role"] == "user"  # type: ignore[attr-defined]
    terminated = False
    while not terminated:
        obs, _, terminated, _, info = env.step(0)
    shown = str(env.render())
    assert info["prompt"] in shown and f"{info['words'][0]}/O" in shown and "labelled" in shown
    assert env.observation_space.contains(obs)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"max_words": 0}, ConfigurationError, "max_words must be an integer of at least 1"),
        ({"max_tokens": 500}, ConfigurationError, "max_tokens = 500 is more than the"),
        ({"label_column": "ner"}, ConfigurationError, "label_column must be the number of a column, .*got 'ner'"),
        ({"token_column": True}, ConfigurationError, "token_column must be the number of a column"),
        ({"scheme": "iob"}, UnknownNameError, "unknown scheme 'iob'"),
        ({"on_long_sentence": "cut"}, UnknownNameError, "on_long_sentence 'cut'"),
        ({"render_mode": "html"}, UnknownNameError, "render_mode"),
        ({"split": "tset"}, DataError, "unknown split 'tset'. Did you mean 'test'"),
        ({"types": "PER"}, ConfigurationError, "types must be a list"),
        ({"types": ["X", "X"]}, ConfigurationError, "different"),
        ({"types": ["X"]}, DataError, "word 5 of sentence 1 .* unknown label 'B-Y'"),
        ({"reward": "exact_match"}, UnknownNameError, "'reference'.*exact_match"),
        ({"max_words": 4}, DataError, "1 of 2 sentences .* 5 words.*Set max_words=5 .*on_long_sentence='truncate'"),
        ({"max_tokens": 2, "on_long_sentence": "truncate"}, DataError, "first word of sentence 2.*Raise max_tokens"),
        ({"dataset": [{"words": ["a", "b"], "labels": ["O", "I-X"]}]}, DataError, "word 2 of sentence 1 .*'I-X'"),
    ],
)
def test_bad_arguments(lm_folder: str, kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    if kwargs.get("max_tokens") == 2:
        kwargs = {**kwargs, "dataset": [{"words": [word], "labels": ["O"]} for word in ("a", "zebra")]}
    with pytest.raises(error, match=message):
        make(lm_folder, **kwargs)


def test_long_sentences_lose_their_ends(folder: str) -> None:
    env = make(folder, max_words=3, on_long_sentence="truncate")
    _, info, _ = play(env, ["O", "B-X", "I-X"])
    assert info["words"] == ["the", "good", "bad"] and info["is_success"]
    n_tokens = len(load_tokenizer(folder)("the good bad")["input_ids"])
    env = make(folder, max_tokens=n_tokens, on_long_sentence="truncate")
    _, info, _ = play(env, ["O", "B-X", "I-X"])
    assert info["words"] == ["the", "good", "bad"]


def test_bad_actions(folder: str) -> None:
    env = make(folder)
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    for action, message in [(5, "none of the 5 labels O, B-X"), (-1, "none of"), (0.5, "label's number"), ([0], "one")]:
        with pytest.raises(InvalidActionError, match=message):
            env.step(action)
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        env.reset(options={"index": 2})


def test_a_word_without_tokens(bert_folder: str, tmp_path: Any) -> None:
    with pytest.raises(DataError, match="word 2 of sentence 1, 'ß', has no token"):
        make(bert_folder, dataset=[{"words": ["a", "ß"], "labels": ["O", "O"]}])


def test_an_encoder_decoder(tmp_path: Any, small_tokenizer: Any) -> None:
    from transformers import T5Config

    T5Config(vocab_size=64, d_model=8, num_layers=1).save_pretrained(tmp_path)
    small_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="encoder-decoder"):
        make(str(tmp_path))


@pytest.mark.parametrize("make_env", [gym.make, gym.make_vec])
def test_wrappers_for_texts_that_grow(make_env: Any) -> None:
    env = make_env("Tagging-v0")
    with pytest.raises(ConfigurationError, match="a cursor moves through it"):
        HiddenStateObservation(env)
    with pytest.raises(ConfigurationError, match="actions that are token ids"):
        CandidateActions(env, 4)


def test_documentation_headings() -> None:
    headings = [line.strip() for line in str(TaggingEnv.__doc__).splitlines() if line.strip().startswith("## ")]
    assert headings == [
        f"## {name}"
        for name in (
            *("Description", "Observation Space", "Action Space", "Rewards", "Starting State", "Episode End"),
            *("Information", "Arguments", "Version History", "References"),
        )
    ]
