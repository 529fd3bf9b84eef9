from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_it_shows_the_run_before_and_after(small_run: Path) -> None:
    printed = (small_run.parent / "output.txt").read_text()
    assert "PPO on TextGen-v0 prompts" in printed
    assert "128 / 128 steps" in printed and "tok/s" in printed and "KL " in printed
    assert "before" in printed and "after" in printed
    assert "KL, nats/episode" in printed and "distinct-2" in printed
    assert "5 prompts of the split 'test'" in printed
    assert "\x1b[" not in printed  # no colours where it is no terminal


def test_the_options_reach_the_configuration(small_run: Path) -> None:
    config = json.loads((small_run / "config.json").read_text())
    assert config["reward"] == {"distinct": 1.0, "length:target=8,unit=characters": 0.5}
    assert config["env_kwargs"] == {"max_prompt_tokens": 12, "max_new_tokens": 8}
    assert config["hyperparameters"]["n_steps"] == 8 and config["n_envs"] == 4
    assert "stable-baselines3" in config["versions"]


def test_quiet_prints_nothing_and_the_default_folder_says_what_it_is(
    cli: Callable, tmp_path: Path, train_options: list[str]
) -> None:
    result = cli(*train_options, "--quiet", "--seed", 3, "--algo", "ppo")
    assert (result.exit_code, result.output) == (0, "")
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("TextGen-v0-prompts-ppo-seed3-")


def test_a_run_is_extended(cli: Callable, tmp_path: Path, train_options: list[str]) -> None:
    assert cli(*train_options, "--run", "run", "-q").exit_code == 0
    result = cli("train", "--resume", "run", "--steps", 192)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["after"]["step"] == 192
    refused = cli("train", "--resume", "run", "--seed", 1, "-r", "length")
    assert refused.exit_code == 2
    assert "--reward, --seed cannot change" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["TextGn-v0"], "Did you mean 'TextGen-v0'?"),
        (["--task", "revews"], "Did you mean 'reviews'?"),
        (["--algo", "pppo"], "Did you mean 'ppo'?"),
        (["--reward", "sentimnt"], "Did you mean 'sentiment'?"),
        (["--reward", "x*length"], "--reward expects WEIGHT*NAME"),
        (["--reward", "length", "--reward", "length"], "--reward length is given twice"),
        (["--model", "tinny"], "Did you mean 'tiny'?"),
        (["--env-kwarg", "max_new_tokns=3"], "Did you mean 'max_new_tokens'?"),
        (["--env-kwarg", "max_new_tokens"], "--env-kwarg expects KEY=VALUE"),
        (["--env-kwarg", "max_new_tokens=0"], "max_new_tokens must be an integer of at least 1"),
        (["-H", "n_steps=4", "-H", "n_steps=5"], "--hyperparameter n_steps is given twice"),
        (["--steps", "0"], "steps must be an integer of at least 1"),
        (["--dataset", "nowhere.jsonl", "--reward", "length"], "nowhere.jsonl"),
        (["--dataset", "x.jsonl"], "a dataset needs a reward"),
        (["--resume", "nowhere"], "there is no run folder 'nowhere'"),
        (["--dtype", "float8"], "dtype must be one of"),
        (["--trainable", "top:99"], "N must be 1 to that"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(cli: Callable, tmp_path: Path, options: list[str], message: str) -> None:
    result = cli("train", *options)
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_refused_with_the_way_on(cli: Callable, small_run: Path) -> None:
    result = cli("train", "--run", small_run)
    assert result.exit_code == 2 and f"--resume {small_run}" in result.stderr


def test_debug_shows_the_traceback(cli: Callable) -> None:
    result = cli("train", "--task", "revews", "--debug")
    assert type(result.exception).__name__ == "UnknownNameError"


def test_ctrl_c_says_how_to_go_on(cli: Callable, train_options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.training_runs.training.train", interrupt)
    result = cli(*train_options, "--run", "run")
    assert result.exit_code == 130
    assert "lm-envs train --resume run" in result.stderr
