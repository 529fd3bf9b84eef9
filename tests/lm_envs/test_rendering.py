"""What people see."""

from __future__ import annotations

import re
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from lm_envs.errors import MissingDependencyError
from lm_envs.models import load_tokenizer
from lm_envs.rendering import EpisodeStream, EpisodeView, Piece, episode_text
from lm_envs.rendering_image import COLUMN, MARGIN, episode_image

ANSI = re.compile(r"\x1b\[\d*m")


def good(completions: list[str], **columns: Any) -> list[float]:
    return [float("good" in text) for text in completions]


def short(completions: list[str], **columns: Any) -> list[float]:
    return [-0.1 * len(text) for text in completions]


def arguments(stand_in: str, mode: str | None) -> dict[str, Any]:
    shown = {"dataset": ["The lamp is"], "reward": {good: 1.0, short: 1.0}, "max_new_tokens": 8}
    return {"model": stand_in, "render_mode": mode, **shown}


def view_of(prompt: str, completion: str, *rest: Any) -> EpisodeView:
    return EpisodeView((Piece(prompt, by_agent=False), Piece(completion, by_agent=True)), *rest)


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_episode_text_is_coloured() -> None:
    view = view_of("The lamp is", " good.", {"good": 1.0, "short": -0.25}, "eos", 3)
    assert episode_text(view) == (
        "\x1b[2mThe lamp is\x1b[0m\x1b[1m good.\x1b[0m\n"
        "\x1b[2m[3 tokens, eos]\x1b[0m  \x1b[32m+0.750\x1b[0m =  "
        "good \x1b[32m+1.000\x1b[0m  short \x1b[31m-0.250\x1b[0m"
    )


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert episode_text(view_of("a", "b", {"good": 1.0}, "stop", 2)) == "ab\n[2 tokens, stop]  good +1.000"


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = episode_text(view_of("a\tb", "c\x1b[2J\x07\nd"))
    assert ANSI.sub("", text) == "a\tbc\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\nd"


def play(env: Any, stand_in: str, text: str) -> None:
    for token in [*load_tokenizer(stand_in)(text)["input_ids"], 0]:
        env.step(token)


def test_ansi(stand_in: str) -> None:
    env = gym.make("TextGen-v0", **arguments(stand_in, "ansi")).unwrapped
    with pytest.raises(ResetNeeded, match="call reset"):
        env.render()
    env.reset(seed=0)
    assert ANSI.sub("", str(env.render())) == "The lamp is"
    env.step(load_tokenizer(stand_in)(" good")["input_ids"][0])
    assert "[" not in ANSI.sub("", str(env.render()))
    env.reset(seed=0)
    play(env, stand_in, " good")
    assert re.fullmatch(
        r"The lamp is good\n\[\d tokens, eos\]  \+0.500 =  good \+1.000  short -0.500",
        ANSI.sub("", str(env.render())),
    )


def test_human_writes_the_text_as_it_grows(stand_in: str, capsys: pytest.CaptureFixture[str]) -> None:
    env = gym.make("TextGen-v0", **arguments(stand_in, "human"))
    env.reset(seed=0)
    assert ANSI.sub("", capsys.readouterr().out) == "The lamp is"
    pieces = []
    for token in load_tokenizer(stand_in)(" good é")["input_ids"]:
        env.step(token)
        pieces.append(ANSI.sub("", capsys.readouterr().out))
    assert "".join(pieces) == " good é" and len(pieces) > 2
    env.step(0)
    assert re.match(r"\n\[\d tokens, eos\]  \+", ANSI.sub("", capsys.readouterr().out))
    assert env.render() is None
    assert capsys.readouterr().out == ""


def test_stream_waits_for_the_rest_of_a_character(capsys: pytest.CaptureFixture[str]) -> None:
    stream = EpisodeStream()
    for completion in ("", " \N{REPLACEMENT CHARACTER}", " é"):
        stream.grow(view_of("p", completion))
    assert ANSI.sub("", capsys.readouterr().out) == "p é"


def test_vector_ansi(stand_in: str) -> None:
    envs = gym.make_vec("TextGen-v0", num_envs=2, **arguments(stand_in, "ansi"))
    with pytest.raises(ResetNeeded, match="call reset"):
        envs.render()
    envs.reset(seed=0)
    assert [ANSI.sub("", text) for text in envs.render() or ()] == ["The lamp is"] * 2


def test_vector_human_prints_finished_episodes(stand_in: str, capsys: pytest.CaptureFixture[str]) -> None:
    envs = gym.make_vec("TextGen-v0", num_envs=2, **arguments(stand_in, "human"))
    envs.reset(seed=0)
    envs.step([5, 5])
    assert capsys.readouterr().out == ""
    envs.step([0, 5])
    assert len(re.findall("tokens, eos", capsys.readouterr().out)) == 1
    assert envs.render() is None


def test_render_without_a_mode(stand_in: str) -> None:
    env = gym.make("TextGen-v0", **arguments(stand_in, None)).unwrapped
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


@pytest.mark.parametrize("long", [False, True])
def test_picture(stand_in: str, long: bool) -> None:
    env = gym.make("TextGen-v0", **arguments(stand_in, "rgb_array")).unwrapped
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (360, 640, 3) and first.dtype == np.uint8
    terminated = False
    while not terminated:
        *_, terminated, _, _ = env.step(env.action_space.sample())
    last = env.render()
    assert (last != first).any() and first.flags.owndata
    view = view_of("a prompt " * (200 if long else 1), "an end", {"good": 1.0, "bad": -1.0}, "eos", 2)
    image = episode_image(view)
    assert (image == (20, 120, 50)).all(axis=2).any() and (image == (175, 35, 35)).all(axis=2).any()
    assert (image[:, -20:] == image[0, 0]).all()  # the text stays off the margin


def test_many_reward_terms_take_more_lines() -> None:
    image = episode_image(view_of("a prompt", "an end", {f"term_{i}": -1.0 for i in range(6)}, "max_turns", 22))
    lines = (image == (175, 35, 35)).all(axis=2)
    assert (image[:, -20:] == image[0, 0]).all() and np.diff(lines.any(axis=1)).sum() >= 4  # begin and end of two


def test_the_speakers_of_a_conversation_stand_in_a_column() -> None:
    view = EpisodeView((Piece("user    one\n", by_agent=False), Piece("agent   two", by_agent=True)))
    image = episode_image(view)
    ink = (image != image[0, 0]).any(axis=2)
    columns = [np.flatnonzero(rows.any(axis=0)) for rows in (ink[24:54], ink[54:84])]
    assert [int(found[found > MARGIN + COLUMN - 10][0]) // 4 for found in columns] == [(MARGIN + COLUMN) // 4] * 2


def test_vector_pictures(stand_in: str) -> None:
    envs = gym.make_vec("TextGen-v0", num_envs=2, **arguments(stand_in, "rgb_array"))
    envs.reset(seed=0)
    assert [image.shape for image in envs.render()] == [(360, 640, 3)] * 2


def test_picture_without_pillow(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"lm-envs\[plots\]"):
        episode_image(view_of("a", "b"))
