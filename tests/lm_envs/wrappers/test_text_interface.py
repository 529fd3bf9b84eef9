from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from lm_envs.errors import ConfigurationError, InvalidActionError
from lm_envs.wrappers import CandidateActions, HiddenStateObservation, TextInterface
from lm_envs.wrappers.any_text import AnyText
from lm_envs.wrappers.text_interface import joined

STRANGE = ["", "é", "\N{GRINNING FACE}\N{ZERO WIDTH JOINER}", "\x1b[2J\x00", "\N{RIGHT-TO-LEFT OVERRIDE}", "日本語\n"]
Make = Callable[..., gym.Env]


@pytest.fixture
def make_text(make_env: Make) -> Callable[..., TextInterface]:
    return lambda **kwargs: TextInterface(make_env(**kwargs))


def test_a_text_earns_what_its_tokens_earn(make_env: Make, make_text: Make) -> None:
    arguments = {"reward": {"distinct": 1.0, "length:target=3,unit=characters": 0.5}, "shaping": True}
    inner, env = make_env(**arguments), make_text(**arguments)
    inner.reset(options={"index": 0})
    prompt, info = env.reset(options={"index": 0})
    assert prompt == "the good" and info["messages"] == [{"role": "user", "content": "the good"}]
    _, reward, terminated, truncated, info = env.step("bad is")
    rewards = []
    for token in [*env.unwrapped.vocabulary.tokenizer(" bad is", add_special_tokens=False)["input_ids"], 1]:
        *_, paid, done, _, expected = inner.step(token)
        rewards.append(paid)
    assert done and terminated and not truncated
    assert reward == pytest.approx(sum(rewards)) and reward == pytest.approx(sum(info["reward_terms"].values()))
    messages = info.pop("messages")
    assert messages[1:] == [{"role": "assistant", "content": " bad is"}]
    assert info == expected and info["stop_reason"] == "eos" and info["n_new_tokens"] == 3


def test_a_long_text_is_cut_at_the_budget(make_text: Make) -> None:
    env = make_text()
    env.reset(seed=0)
    *_, info = env.step("good " * 50)
    assert info["stop_reason"] == "max_new_tokens" and info["n_new_tokens"] == 6
    assert info["completion"] == info["messages"][-1]["content"]


def test_a_stop_string_ends_the_text(make_text: Make) -> None:
    env = make_text(stop=["."])
    env.reset(seed=0)
    *_, info = env.step(" is. a")
    assert info["stop_reason"] == "stop" and info["completion"] == " is"


def test_an_early_end_is_repeated_until_it_counts(make_text: Make) -> None:
    env = make_text(min_new_tokens=4)
    env.reset(seed=0)
    *_, info = env.step(" is")
    assert info["completion"] == " is" and info["stop_reason"] == "eos" and info["n_new_tokens"] == 5


def test_special_tokens_in_a_text_are_plain_characters(make_text: Make) -> None:
    env = make_text(max_new_tokens=30)
    env.reset(options={"index": 2})
    *_, info = env.step(" a<|end|>b")
    assert info["stop_reason"] == "eos" and info["completion"] == " aendb"  # the tokenizer knows no < and |


def test_a_word_gets_its_space_unless_told_otherwise(make_env: Make) -> None:
    for spaced, completion in ((True, " good"), (False, "good")):
        env = TextInterface(make_env(), spaced=spaced)
        env.reset(options={"index": 2})
        assert env.step("good")[-1]["completion"] == completion


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [("It is", "good", " good"), ("It is ", "good", "good"), ("It is", ", well", ", well"), ("", "good", "good")],
)
def test_joined(prompt: str, text: str, expected: str) -> None:
    assert joined(prompt, text) == expected


@pytest.mark.parametrize("text", STRANGE)
def test_every_text_is_in_the_spaces_and_can_be_said(make_text: Make, text: str) -> None:
    env = make_text(dataset=[text], model="tiny", max_prompt_tokens=32)
    prompt, _ = env.reset()
    assert prompt == text and prompt in env.observation_space and text in env.action_space
    observation, *_ = env.step(text)
    assert observation in env.observation_space


def test_the_space_is_small_and_a_text_space() -> None:
    space = AnyText()
    assert isinstance(space, gym.spaces.Text) and repr(space) == "AnyText(1048576)"
    assert len(pickle.dumps(space)) < 10_000
    assert pickle.loads(pickle.dumps(space)) == space == copy.deepcopy(space) != AnyText(3)
    space.seed(0)
    samples = [space.sample() for _ in range(100)]
    assert all(sample in space and len(sample) <= 64 for sample in samples) and len(set(samples)) > 90
    space.seed(0)
    assert [space.sample() for _ in range(100)] == samples
    assert "abcd" not in AnyText(3) and "\ud800" not in space and 3 not in space
    assert gym.spaces.flatten(AnyText(2), "é").tolist() == gym.spaces.flatten(AnyText(2), "\ufffd").tolist()


@pytest.fixture
def make_dialogue() -> Callable[..., gym.Env]:
    return lambda **kwargs: gym.make("Dialogue-v0", **kwargs)


def test_a_turn_earns_what_its_tokens_earn(make_dialogue: Make) -> None:
    inner, env = make_dialogue(), TextInterface(make_dialogue())
    _, expected = inner.reset(seed=0, options={"index": 3})
    user_turn, info = env.reset(seed=0, options={"index": 3})
    assert user_turn == expected["user_turn"] and info["messages"] == [{"role": "user", "content": user_turn}]
    for number, text in enumerate(["Sure. What is it?", "Which day?", "<|endofturn|> x", "", "good " * 40], start=1):
        user_turn, reward, terminated, truncated, info = env.step(text)
        total, expected = 0.0, {}
        ids = env.unwrapped.vocabulary.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        for token in [*ids, env.unwrapped.turn_end_id]:
            *_, paid, done, _, expected = inner.step(token)
            total += paid
            if expected:
                break
        messages = info.pop("messages")
        expected.pop("messages", None)
        assert info == expected and info["turn"] == number and reward == pytest.approx(total)
        assert messages == env.unwrapped.messages and user_turn == info["user_turn"] in env.observation_space
        assert (terminated, truncated) == (done, False)
        if terminated:
            break
    assert terminated and sum(message["role"] == "assistant" for message in messages) == number == info["n_turns"]


def test_a_conversation_keeps_the_messages_that_the_observation_has_dropped(make_dialogue: Make) -> None:
    env = TextInterface(make_dialogue(on_overflow="drop", max_tokens=80, partner_kwargs={"patience": (8, 8)}))
    _, info = env.reset(seed=0)
    terminated = False
    while not terminated:
        *_, terminated, _, info = env.step("There are many things that I could say about this matter, sir.")
    assert info["n_turns"] == 8 and len(info["messages"]) == 17


@pytest.mark.parametrize("action", [3, None, b"a", ["a"], "\ud800"])
def test_what_is_no_text_is_refused(make_text: Make, action: Any) -> None:
    env = make_text()
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="an action of TextInterface is a text"):
        env.step(action)


def test_only_environments_of_tokens_are_wrapped(make_env: Make, make_envs: Make, lm_folder: str) -> None:
    with pytest.raises(ConfigurationError, match="expected actions that are token ids"):
        TextInterface(CandidateActions(make_env(), k=4))
    with pytest.raises(ConfigurationError, match="expected actions that are token ids"):
        TextInterface(CandidateActions(make_env(), k=64))
    with pytest.raises(ConfigurationError, match="expected a token environment"):
        TextInterface(HiddenStateObservation(make_env()))
    with pytest.raises(ConfigurationError, match="expected a token environment"):
        TextInterface(gym.make("CartPole-v1"))
    with pytest.raises(ConfigurationError, match="one of Dialogue-v0 with actions='acts'"):
        TextInterface(gym.make("Dialogue-v0", actions="acts"))
    with pytest.raises(ConfigurationError, match="wraps a single environment"):
        TextInterface(make_envs())


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version.*:UserWarning")
@pytest.mark.parametrize("env_id", ["TextGen-v0", "Dialogue-v0"])
def test_checker_and_copies(env_id: str) -> None:
    env = TextInterface(gym.make(env_id))
    check_env(env, skip_render_check=True)
    played = []
    for each in [env, pickle.loads(pickle.dumps(env)), copy.deepcopy(env), gym.make(env.spec)]:
        start = each.reset(seed=3)
        played.append((start, each.step("is bad")))
    assert all(a == b for a, b in itertools.pairwise(played))


def test_the_documentation_has_the_usual_headings() -> None:
    headings = ("Description", "Observation Space", "Action Space", "Rewards", "Episode End", "Information",
                "Arguments", "Errors", "Example", "References")  # fmt: skip
    assert all(f"## {heading}\n" in (TextInterface.__doc__ or "") for heading in headings)
