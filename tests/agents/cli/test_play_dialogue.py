from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.cli.messages import console
from agents.cli.talk import Voice, _show_act, is_farewell
from lm_envs.dialogue.partners import Message
from lm_envs.vocabulary import load_vocabulary


def test_the_player_is_the_agent(cli: Callable) -> None:
    result = cli("play", "Dialogue-v0", "-E", "max_turns=2", input="Sure.\nWhich day?\n\n")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("user    ") and "you     " in lines[1]
    assert any(line.startswith("goal    ") for line in lines)
    assert "max_turns" in result.stdout and "mean reward of 1 conversation(s)" in result.stdout


def test_the_player_speaks_where_a_policy_chooses_acts(cli: Callable) -> None:
    result = cli("play", "Dialogue-v0", "-E", "actions=acts", "-E", "phrasing=lm", input="Sure.\n\n")
    assert result.exit_code == 0, result.output


def test_the_player_is_the_user(cli: Callable) -> None:
    arguments = ("play", "Dialogue-v0", "--agent", "tiny")
    result = cli(*arguments, input="Hello, can you help me?\nI want to book a table.\nGoodbye!\nnever read\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("agent   ") == 2 and "reward" not in result.stdout
    same = cli(*arguments, input="Hello, can you help me?\nI want to book a table.\nGoodbye!\n")
    assert same.stdout == result.stdout
    greedy = [cli(*arguments, "--deterministic", "-s", seed, input="Hello.\n").stdout for seed in (0, 1)]
    assert greedy[0] == greedy[1] != cli(*arguments, "-T", "3", input="Hello.\n").stdout


def test_the_act_of_a_turn_is_shown(cli: Callable) -> None:
    result = cli("play", "--agent", "tiny", "--deterministic", input="I would like to book a table for two.\n")
    assert "[ask.book." in result.stdout


@pytest.mark.parametrize("input", ["", "\n", "bye\n"])
def test_a_user_who_says_nothing_meets_no_agent(cli: Callable, input: str) -> None:
    result = cli("play", "--agent", "tiny", input=input)
    assert result.exit_code == 0 and "agent" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TextGen-v0", "--agent", "tiny"], "--agent lets you talk to an agent in Dialogue-v0"),
        (["--agent", "tiny", "--prompt", "x"], "--model and --prompt do not go with --agent"),
        (["--agent", "tinny"], "Did you mean 'tiny'?"),
        (["--agent", "tiny", "-E", "actions=acts"], "it cannot talk to a person"),
        (["Dialogue-v0", "--temperature", "2"], "you are the agent yourself"),
        (["Dialogue-v0", "--prompt", "x"], "prompts of your own are for TextGen-v0"),
    ],
)
def test_mistakes(cli: Callable, arguments: list[str], message: str) -> None:
    result = cli("play", *arguments, input="Hello.\n")
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_a_run_of_another_environment_does_not_talk(cli: Callable, small_run: Path) -> None:
    result = cli("play", "--agent", small_run, input="Hello.\n")
    assert result.exit_code == 2 and "was trained in TextGen-v0, where nobody answers" in result.stderr


def test_characters_of_several_tokens_appear_when_they_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary = load_vocabulary("tiny")
    text = "é \N{GRINNING FACE} \x1b[2J!"
    ids = vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"]
    console.cache_clear()
    voice, seen = Voice(vocabulary), ""
    for token in [*ids, vocabulary.eos_ids[0]]:
        voice.hear(token)
        seen += capsys.readouterr().out
        assert ("agent   " + text.replace("\x1b", "\ufffd")).startswith(seen)
    voice.hear(ids[0])  # half a character at the end of the turn
    voice.pause()
    assert seen + capsys.readouterr().out == "agent   é \N{GRINNING FACE} \ufffd[2J!\ufffd\n"
    console.cache_clear()


@pytest.mark.parametrize(
    ("text", "ends"), [("Goodbye!", True), ("good bye", True), ("", True), ("Goodbye, one more thing", False)]
)
def test_farewells(text: str, ends: bool) -> None:
    assert is_farewell(text) is ends


def test_the_agents_act_is_read_as_one_of_what_the_person_speaks_about(capsys: pytest.CaptureFixture[str]) -> None:
    turns = ("Good evening. My phone does not work.", "I am sorry. What is wrong with it?")
    _show_act([Message(role=role, content=text) for role, text in zip(("user", "assistant"), turns, strict=True)])
    _show_act([Message(role="assistant", content=turns[1])])
    assert capsys.readouterr().out.split() == ["[ask.fault.fault]", "[ask.return.reason]"]


@pytest.mark.parametrize(
    ("algorithm", "trial", "hyperparameters"),
    [
        ("ppo", "play --agent", ["n_steps=8", "batch_size=32"]),
        ("dqn", "sample", ["learning_starts=4", "batch_size=8", "buffer_size=2000"]),
    ],
)
def test_training_ends_with_a_command_that_shows_the_agent(
    cli: Callable, algorithm: str, trial: str, hyperparameters: list[str]
) -> None:
    chosen = [part for each in hyperparameters for part in ("-H", each)]
    arguments = ("--run", "desk", "--steps", 32, "--n-envs", 4, "--eval-prompts", 2)
    result = cli("train", "Dialogue-v0", "--algo", algorithm, *arguments, *chosen)
    assert result.exit_code == 0, result.output
    assert f"try it:     lm-envs {trial} desk" in result.stdout
    shown = cli(*trial.split(), "desk", input="Hello.\n\n")
    assert shown.exit_code == 0 and "agent" in shown.stdout
