"""The commands on a run of DQN with candidates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def test_training_shows_wrappers_exploration_and_greedy_results(value_run: Path) -> None:
    printed = (value_run.parent / "output.txt").read_text()
    assert "DQN on TextGen-v0 prompts" in printed
    assert "LMQPolicy" in printed and "CandidateActions(k=4, sample=lm)" in printed
    assert "exploring 5%" in printed and "KL" not in printed
    assert "5 prompts of the split 'test', greedy completions" in printed


def test_the_wrappers_are_part_of_the_configuration(value_run: Path) -> None:
    config = json.loads((value_run / "config.json").read_text())
    assert config["env_wrapper"] == [{"lm_envs.wrappers.CandidateActions": {"k": 4, "sample": "lm"}}]
    assert config["policy"] == "agents.LMQPolicy" and config["env_kwargs"]["shaping"] is True
    assert config["hyperparameters"]["replay_buffer_class"] == "agents.SequenceReplayBuffer"


def test_evaluate_is_greedy_and_against_the_language_model(cli: Callable, value_run: Path) -> None:
    result = cli("evaluate", value_run, "--prompts", 4, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["untrained", "trained"]
    assert set(found["untrained"]["metrics"]) == set(found["trained"]["metrics"]) == {"reward", "distinct_2", "length"}
    assert found == json.loads(cli("evaluate", value_run, "--prompts", 4, "--json", "--deterministic").stdout)
    sampled = json.loads(cli("evaluate", value_run, "--prompts", 4, "--json", "--sampled").stdout)
    assert sampled["untrained"] != found["untrained"]
    assert "greedy completions" in cli("evaluate", value_run, "--prompts", 4).stdout


def test_sample_says_that_greedy_completions_are_the_same(cli: Callable, value_run: Path) -> None:
    result = cli("sample", value_run, "--prompts", 1, "--n", 2)
    assert result.exit_code == 0, result.output
    assert "completions are greedy: the 2 of each prompt are the same" in result.stderr
    assert cli("sample", value_run / "model.zip", "the cat").exit_code == 0
    hot = cli("sample", value_run, "--temperature", 0.5)
    assert hot.exit_code == 2 and "temperature is for actor-critic policies" in hot.stderr


def test_play_in_the_environment_of_a_run(cli: Callable, value_run: Path) -> None:
    result = cli("play", value_run, input="the cat\n\n")
    assert result.exit_code == 0, result.output
    assert "mean reward of 1 completion(s)" in result.stdout
    assert "the cat" in result.stdout or "the dog" in result.stdout or "the cup" in result.stdout


def test_a_value_run_is_extended(cli: Callable, value_run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(value_run, tmp_path / "copy")
    result = cli("train", "--resume", "copy", "--steps", 192)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "copy" / "evaluation.json").read_text())["after"]["step"] == 192


def test_list_says_what_there_are_recipes_for(cli: Callable) -> None:
    printed = " ".join(cli("list", "algorithms").stdout.split())
    assert "stable_baselines3.DQN; observes tokens or hidden" in printed
    assert "sb3_contrib.MaskablePPO; observes tokens" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--algo", "dqn", "--kl-coef", "0.1"], "dqn learns values from a replay buffer and has neither"),
        (["--algo", "ppo", "--observation", "hidden"], "unknown observation of the recipes for ppo 'hidden'"),
        (["--algo", "dqn", "--observation", "hiden"], "Did you mean 'hidden'?"),
        (["--algo", "dqn", "--candidates", "-1"], "candidates must be an integer of at least 0"),
        (["--conf-file", "none.yml"], "cannot read the hyperparameters 'none.yml'"),
    ],
)
def test_a_mistake_is_one_message(cli: Callable, tmp_path: Path, options: list[str], message: str) -> None:
    result = cli("train", *options)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
