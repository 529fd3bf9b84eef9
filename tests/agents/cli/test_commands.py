from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lm_envs

ROOT = Path(__file__).parents[3]

STARTUP = """
import sys, types
package = types.ModuleType("agents"); package.__path__ = [sys.argv[1]]; sys.modules["agents"] = package
import agents.cli
import agents.recipes.train_config
agents.recipes.train_config.make_config()
print(*sorted({"torch", "transformers", "stable_baselines3", "pandas", "matplotlib"} & set(sys.modules)))
"""


def test_the_command_line_itself_imports_nothing_heavy() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-c", STARTUP, str(ROOT / "agents")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_help_names_the_commands(cli: Callable) -> None:
    result = cli("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("train", "evaluate", "sample", "play", "list"))
    assert cli("train", "--help").exit_code == 0


def test_version(cli: Callable) -> None:
    result = cli("--version")
    assert result.exit_code == 0
    assert result.stdout == f"lm-envs {lm_envs.__version__}\n"


def test_list(cli: Callable) -> None:
    result = cli("list")
    assert result.exit_code == 0
    for name in ("TextGen-v0", "Dialogue-v0", "reviews", "agenda", "sentiment", "tiny", "stable_baselines3.PPO"):
        assert name in result.stdout
    assert "The partner's score 'politeness'" in result.stdout and "``" not in result.stdout
    assert "sentiment" not in cli("list", "tasks").stdout
    wrong = cli("list", "rewrds")
    assert wrong.exit_code == 2 and "Did you mean 'rewards'?" in wrong.stderr


def test_evaluate_compares_a_run_with_the_untrained_model(cli: Callable, small_run: Path) -> None:
    result = cli("evaluate", small_run, "--prompts", 4, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["untrained"]["metrics"]["kl"]["mean"] == pytest.approx(0, abs=1e-5)
    assert found["trained"]["metrics"]["kl"]["mean"] != pytest.approx(0, abs=1e-5)
    assert found["trained"]["n_prompts"] == 4
    assert found == json.loads(cli("evaluate", small_run / "model.zip", "--prompts", 4, "--json").stdout)
    table = cli("evaluate", small_run, "--prompts", 4, "--split", "validation").stdout
    assert "untrained" in table and "trained" in table and "split 'validation'" in table


def test_evaluate_a_run_by_another_reward(cli: Callable, small_run: Path) -> None:
    result = cli("evaluate", small_run, "--prompts", 4, "--json", "-r", "repetition")
    assert -1 <= json.loads(result.stdout)["trained"]["metrics"]["reward"]["mean"] <= 0


def test_evaluate_a_model(cli: Callable, lm_folder: str, prompt_file: Path) -> None:
    result = cli("evaluate", lm_folder, "-d", prompt_file, "-r", "length", "--prompts", 3, "--json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)) == ["model"]


def test_sample_prompts_of_the_split(cli: Callable, small_run: Path) -> None:
    result = cli("sample", small_run, "--prompts", 2, "--n", 3, "--json")
    rows = json.loads(result.stdout)
    prompts = [row["prompt"] for row in rows]
    assert len(rows) == 6 and len(set(prompts)) == 2 and prompts[0] == prompts[2]
    assert rows == json.loads(cli("sample", small_run, "--prompts", 2, "--n", 3, "--json").stdout)
    other = json.loads(cli("sample", small_run, "--prompts", 2, "--n", 3, "--json", "--seed", 1).stdout)
    assert [row["completion"] for row in rows] != [row["completion"] for row in other]


def test_sample_prompts_of_ones_own(cli: Callable, small_run: Path) -> None:
    result = cli("sample", small_run, "the cat", "a dog [bold]", "--deterministic")
    assert result.exit_code == 0, result.output
    assert "the cat" in result.stdout and "a dog [bold]" in result.stdout and "reward" in result.stdout


def test_sample_shows_no_reward_that_would_need_a_column(cli: Callable) -> None:
    result = cli("sample", "tiny", "The camera", "--task", "keywords")
    assert result.exit_code == 0, result.output
    assert "The camera" in result.stdout and "reward" not in result.stdout


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences with translations."""
    path = tmp_path_factory.mktemp("sentences") / "sentences.jsonl"
    rows = [{"translation": {"en": f"Dog number {i}.", "es": f"El perro {i}."}} for i in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("task", ["summarization", "translation"])
def test_tasks_with_references(cli: Callable, task: str) -> None:
    result = cli("sample", "tiny", "--task", task, "--prompts", 1)
    assert result.exit_code == 0 and "reward" in result.stdout, result.output
    evaluation = json.loads(cli("evaluate", "tiny", "--task", task, "--prompts", 3, "--json").stdout)
    assert {"reward", "success"} <= set(evaluation["model"]["metrics"])
    played = cli("play", "--task", task, input="El perro.\n\n")
    assert played.exit_code == 0 and "eos" in played.stdout, played.output


def test_a_task_reads_data_of_the_users_own(cli: Callable, sentences: Path, lm_folder: str) -> None:
    own = ["--task", "translation", "--dataset", sentences]
    learning = ["--n-envs", "4", "-H", "n_steps=8", "-H", "batch_size=16", "--steps", "64", "--eval-prompts", "2"]
    result = cli("train", "-m", lm_folder, *own, *learning, "--run", "run")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(cli("sample", "run", "--prompts", 1, "--json").stdout)
    assert row["prompt"].startswith("Dog number") and row["prompt"].endswith(". In Spanish:")
    template = """dataset_kwargs={"template": "{source} Spanish:"}"""
    (row,) = json.loads(cli("sample", "run", "--dataset", sentences, "-E", template, "--prompts", 1, "--json").stdout)
    assert row["prompt"].endswith(". Spanish:") and "chrf" in row["reward_terms"]
    own_prompt = cli("sample", "run", "A dog. In Spanish:")
    assert own_prompt.exit_code == 0 and "reward" not in own_prompt.stdout, own_prompt.output
    result = cli("evaluate", "run", "--task", "reviews", "--prompts", 2)
    assert result.exit_code == 2 and "expected observations of 112 tokens" in result.stderr, result.output


def test_an_unfinished_run_is_sampled_from_its_checkpoint(cli: Callable, small_run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(small_run, tmp_path / "copy")
    (tmp_path / "copy" / "model.zip").unlink()
    result = cli("sample", "copy", "--prompts", 1)
    assert result.exit_code == 0 and "its checkpoint step_000000000128.zip is used" in result.stderr
    shutil.rmtree(tmp_path / "copy" / "checkpoints")
    result = cli("sample", "copy", "--prompts", 1)
    assert result.exit_code == 2 and "neither model.zip nor a checkpoint" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "runs/none"], "there is no run folder"),
        (["evaluate", "none.zip"], "there is no saved model 'none.zip'"),
        (["evaluate", "tinny"], "Did you mean 'tiny'?"),
        (["evaluate", "tiny", "--split", "tst"], "Did you mean 'test'?"),
        (["evaluate", "tiny", "--env", "TextGen"], "Did you mean 'TextGen-v0'?"),
        (["sample", "tiny", "-T", "0"], "temperature must be above 0"),
        (["sample", "tiny", "-t", "haiku"], "unknown task 'haiku'"),
        (["play", "--task", "haiku"], "unknown task 'haiku'"),
        (["play", "--model", "tinny"], "Did you mean 'tiny'?"),
    ],
)
def test_mistakes(cli: Callable, arguments: list[str], message: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_play_scores_what_is_typed(cli: Callable) -> None:
    prompts = ["--prompt", "My lamp", "--prompt", "This tent is"]
    result = cli("play", *prompts, input="is great, I love it!\nawful and broken.\n")
    assert result.exit_code == 0, result.output
    assert "My lamp" in result.stdout and "eos" in result.stdout
    assert "mean reward of 2 completion(s)" in result.stdout
    good, bad = (float(part.split()[0]) for part in result.stdout.split("reward ")[1:3])
    assert good > 0.7 > 0.4 > bad


def test_play_ends_with_an_empty_line_or_the_end_of_input(cli: Callable) -> None:
    assert "mean reward of 1 " in cli("play", input="is great\n\n").stdout
    silent = cli("play", input="")
    assert silent.exit_code == 0 and "mean reward" not in silent.stdout


def test_play_cuts_off_at_the_budget(cli: Callable) -> None:
    result = cli("play", "-E", "max_new_tokens=2", input="is the best lamp that I have ever had\n\n")
    assert "[2 tokens, max_new_tokens]" in result.stdout
