"""The command line, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

Cli = Callable[..., Result]


@pytest.fixture(scope="session")
def prompt_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty prompts in the letters that the small tokenizer knows."""
    path = tmp_path_factory.mktemp("data") / "prompts.jsonl"
    lines = [json.dumps({"prompt": f"the {word} {number}"}) for word in ("cat", "dog", "cup") for number in range(20)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``cli(*arguments, input=None)``, in an empty folder, on a terminal of 100 columns without colours."""
    from agents.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object, input: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, lm_folder: str, prompt_file: Path) -> Path:
    """A finished run of a second: shared, not to be changed."""
    from agents.cli import app

    folder = tmp_path_factory.mktemp("cli") / "run"
    result = CliRunner().invoke(app, [*train_arguments(lm_folder, prompt_file), "--run", str(folder)])
    assert result.exit_code == 0, result.output
    (folder.parent / "output.txt").write_text(result.stdout)
    return folder


@pytest.fixture(scope="session")
def value_run(tmp_path_factory: pytest.TempPathFactory, lm_folder: str, prompt_file: Path) -> Path:
    """A finished run of DQN: shared, not to be changed."""
    from agents.cli import app

    folder = tmp_path_factory.mktemp("cli") / "dqn"
    learning = ["-H", "learning_starts=16", "-H", "batch_size=8", "-H", "buffer_size=2000", "--steps", "128"]
    environment = ["-E", "max_prompt_tokens=12", "-E", "max_new_tokens=8", "--n-envs", "4", "--eval-prompts", "5"]
    arguments = ["train", "-m", lm_folder, "-d", str(prompt_file), "-r", "distinct", "--run", str(folder)]
    arguments += ["--algo", "dqn", "--candidates", "4", *environment, *learning]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (folder.parent / "output.txt").write_text(result.stdout)
    return folder


def train_arguments(model: str, prompts: Path) -> list[str]:
    """Options of a training that takes a second."""
    environment = ["-E", "max_prompt_tokens=12", "-E", "max_new_tokens=8", "--n-envs", "4"]
    learning = ["-H", "n_steps=8", "-H", "batch_size=16", "-H", "n_epochs=1", "--steps", "128"]
    reward = ["-r", "distinct", "-r", "0.5*length:target=8,unit=characters"]
    return ["train", "-m", model, "-d", str(prompts), "--eval-prompts", "5", *reward, *environment, *learning]


@pytest.fixture
def train_options(lm_folder: str, prompt_file: Path) -> list[str]:
    """``train`` and its options for a training that takes a second."""
    return train_arguments(lm_folder, prompt_file)
