"""QA-v0: questions answered token by token, or by one choice."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_checker import data_equivalence as equal
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from lm_envs.errors import ConfigurationError, DataError, InvalidActionError, UnknownNameError
from lm_envs.qa.env import QAEnv
from lm_envs.qa.questions import Question, Questions
from lm_envs.qa.vector_env import QAVectorEnv

VARIANTS: list[dict[str, Any]] = [
    {},
    {"constrain": True},
    {"actions": "choice"},
    {"reward": {"exact_match": 1.0, "brevity": 0.1}, "shaping": True},
]


def write(env: gym.Env, text: str) -> tuple[float, dict[str, Any]]:
    """Answer with a text and end it; the sum of the rewards, and the last info."""
    vocabulary = env.unwrapped.vocabulary
    ids = vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"]
    total = 0.0
    for token in [*ids, vocabulary.eos_ids[0]]:
        _, reward, terminated, _, info = env.step(token)
        total += reward
        if terminated:
            return total, info
    raise AssertionError("the end of the text ends the episode")


@pytest.mark.parametrize(("text", "right"), [(" lamp.", True), (" The LAMP", True), (" chair", False), ("", False)])
def test_an_answer_is_judged(few: Any, text: str, right: bool) -> None:
    env = gym.make("QA-v0", dataset=few)
    obs, info = env.reset(options={"index": 0})
    tokens = obs["input_ids"][obs["attention_mask"] == 1]
    assert env.unwrapped.vocabulary.tokenizer.decode(tokens) == "The lamp is red. What is red?" and info == {}
    total, info = write(env, text)
    assert total == float(right) and info["is_success"] is right
    assert info["reward_terms"] == {"exact_match": total} and info["reference"] == ["lamp", "the lamp"]
    assert info["answer"] == text.strip() and info["prompt_index"] == 0 and info["completion"] == text


def test_rewards_read_the_columns(few: Any) -> None:
    seen: dict[str, Any] = {}

    def reward(prompts: list[str], completions: list[str], n: list[int], **columns: Any) -> list[float]:
        seen.update(columns, n=n, completions=completions)
        return [0.0 for _ in completions]

    env = gym.make("QA-v0", dataset=few, reward=reward, answer="tags", max_new_tokens=32)
    env.reset(options={"index": 2})
    write(env, "I think <answer>B</answer>")
    assert seen["n"] == [2] and seen["extracted"] == ["B"] and seen["choices"] == [["A", "B", "C", "D"]]
    assert seen["reference"] == [["B"]] and len(seen["completion_ids"][0]) > 3


@pytest.mark.parametrize(("action", "chosen"), [(0, "four"), (2, "forty"), (3, "")])
def test_choosing(few: Any, action: int, chosen: str) -> None:
    env = gym.make("QA-v0", dataset=few, actions="choice")
    assert env.action_space == spaces.Discrete(4) and env.observation_space["input_ids"].shape == (96,)
    obs, _ = env.reset(options={"index": 1})
    assert obs["action_mask"].tolist() == [1, 1, 1, 0]
    last, reward, terminated, truncated, info = env.step(action)
    assert terminated and not truncated and reward == float(chosen == "four") and equal(last, obs)
    assert info["completion"] == info["answer"] == chosen and info["stop_reason"] == "choice"
    assert info["n_new_tokens"] == 1 and info["is_success"] is (chosen == "four")


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped:UserWarning")
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: ",".join(v))
def test_checkers(few: Any, variant: dict[str, Any]) -> None:
    check_env(gym.make("QA-v0", dataset=few, **variant).unwrapped, skip_render_check=True)
    sb3_check_env(gym.make("QA-v0", dataset=few, **variant))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: ",".join(v))
def test_equals_sync_vector_env(few: Any, variant: dict[str, Any]) -> None:
    kwargs = {"dataset": few, "max_new_tokens": 3, **variant}
    ours = QAVectorEnv(3, **kwargs)
    theirs = SyncVectorEnv([lambda: QAEnv(**kwargs)] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert equal(ours.reset(seed=5), theirs.reset(seed=5), exact=True)
    rng, n_ended = np.random.default_rng(0), 0
    for _ in range(30):
        actions = rng.integers(0, ours.single_action_space.n, 3)
        mine, other = ours.step(actions), theirs.step(actions)
        assert equal(mine[:4], other[:4], exact=True)
        if mine[2].any():
            assert mine[4]["final_info"]["answer"].tolist() == other[4]["final_info"]["answer"].tolist()
            n_ended += mine[2].sum()
    assert n_ended >= 20


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: ",".join(v))
def test_a_copy_goes_on_alike(variant: dict[str, Any], clone: Any) -> None:
    env = QAEnv(dataset="intent", **variant)
    env.reset(seed=1)
    copied = clone(env)
    assert equal(env.step(1), copied.step(1)) and equal(env.reset(), copied.reset())


def test_the_same_seed_asks_the_same() -> None:
    one, other = (QAVectorEnv(4, dataset="passages") for _ in range(2))
    assert equal(one.reset(seed=3), other.reset(seed=3))
    assert not equal(one.reset(seed=4)[0], other.reset()[0])


def test_long_prompts_keep_their_ends(few: Any) -> None:
    env = gym.make("QA-v0", dataset=few, max_prompt_tokens=3)
    obs, _ = env.reset(options={"index": 1})
    tokens = obs["input_ids"][obs["attention_mask"] == 1]
    assert len(tokens) == 3 and env.unwrapped.vocabulary.tokenizer.decode(tokens).endswith("two?")


class FreeText(Questions):
    """A question without choices, whose answer is long."""

    def __init__(self, split: str) -> None:
        pass

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Question:
        return Question("Count!", ("one two three four five six seven eight",))


def test_clear_errors(few: Any) -> None:
    with pytest.raises(DataError, match="the answer to question 0 takes 8 tokens, more than max_new_tokens=4.*=8"):
        QAEnv(dataset=FreeText, max_new_tokens=4)
    for arguments, asked in (({"actions": "choice"}, "actions='choice'"), ({"constrain": True}, "constrain=True")):
        with pytest.raises(ConfigurationError, match=f"{asked} needs questions with choices"):
            QAEnv(dataset=FreeText, **arguments)
    with pytest.raises(ConfigurationError, match="constrain=True restricts the tokens"):
        QAEnv(dataset=few, constrain=True, actions="choice")
    with pytest.raises(UnknownNameError, match="unknown actions 'choise'. Did you mean 'choice'"):
        QAEnv(dataset=few, actions="choise")
    with pytest.raises(UnknownNameError, match="unknown column 'm'"):
        QAEnv(dataset=few, reward=lambda completions, m: [0.0])
    with pytest.raises(ConfigurationError, match="dataset_kwargs must be a mapping"):
        QAEnv(dataset=few, dataset_kwargs=[1])
    with pytest.raises(ConfigurationError, match="max_new_tokens must be an integer of at least 1, got 0"):
        QAEnv(dataset=few, max_new_tokens=0)
    env = QAEnv(dataset=few, actions="choice")
    env.reset()
    with pytest.raises(InvalidActionError, match="the action 4 is none of the 4 choices"):
        env.step(4)
    with pytest.raises(ConfigurationError, match="prompt numbers from 0 to 2"):
        env.reset(options={"index": 3})


@pytest.mark.parametrize("actions", ["tokens", "choice"])
def test_what_is_shown(few: Any, actions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    env = gym.make("QA-v0", dataset=few, actions=actions, render_mode="ansi")
    env.reset(options={"index": 1})
    assert str(env.render()).startswith("What is two and two?")
    _, info = write(env, " four") if actions == "tokens" else (0, env.step(0)[4])
    assert str(env.render()).startswith("What is two and two? four\n") and "exact_match +1.000" in str(env.render())
    assert info["is_success"]


def test_documentation_has_the_usual_headings() -> None:
    headings = (
        "Description", "Observation Space", "Action Space", "Rewards", "Starting State", "Episode End", "Information",
        "Arguments", "Version History", "References",
    )  # fmt: skip
    assert all(f"## {heading}\n" in QAEnv.__doc__ for heading in headings)


class Endless(Questions):
    """Makes a question when it is asked for, and counts."""

    max_choices = 2
    generated = True

    def __init__(self, split: str) -> None:
        self.made: list[int] = []
        self.told: list[bool] = []

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> Question:
        self.made.append(index)
        return Question(f"Is {index} even?", ("no" if index % 2 else "yes",), ("yes", "no"))

    def record(self, question: Question, right: bool) -> None:
        self.told.append(right)


def test_few_questions_of_a_generator_are_made_ahead_and_it_is_told_of_every_answer() -> None:
    envs = QAVectorEnv(3, dataset=Endless)
    questions: Any = envs._episodes.questions
    assert len(questions.made) < 20
    envs = QAVectorEnv(3, dataset=Endless, actions="choice")
    questions = envs._episodes.questions
    envs.reset(options={"indices": [2, 4, 5]})
    *_, infos = envs.step([0, 0, 0])
    assert questions.told == [True, True, False] == infos["final_info"]["is_success"].tolist()
    assert questions.made[:3] == [2, 4, 5] and len(questions.made) == 6


class Silence(Endless):
    """The right answer is nothing."""

    def __getitem__(self, index: int) -> Question:
        return Question("Say nothing.", ("",))


def test_silence_can_be_right() -> None:
    env = gym.make("QA-v0", dataset=Silence)
    env.reset()
    assert write(env, "")[1]["is_success"]
    env.reset()
    assert not write(env, " well")[1]["is_success"]


def test_a_question_asked_again_is_not_tokenized_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_envs.qa import prompt_tokens

    envs = QAVectorEnv(3, dataset="sentiment", actions="choice")
    first = envs.reset(options={"indices": [5, 6, 5]})[0]
    monkeypatch.setattr(prompt_tokens.PromptTokens, "_tokenized", None)
    again = envs.reset(options={"indices": [5, 5, 6]})[0]
    assert equal(again["input_ids"], first["input_ids"][[0, 0, 1]])
    monkeypatch.undo()
    monkeypatch.setattr(prompt_tokens, "MAX_KEPT", 4)
    for start in range(0, 30, 3):
        envs.reset(options={"indices": [start, start + 1, start + 2]})
        assert len(envs._episodes._prompt_tokens._kept) <= 4
    fresh = QAVectorEnv(3, dataset="sentiment", actions="choice")
    assert equal(pickle.loads(pickle.dumps(envs)).reset(seed=1), fresh.reset(seed=1), exact=True)
