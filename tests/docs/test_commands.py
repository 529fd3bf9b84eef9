"""The commands in README and pages exist; those of the feedback loop run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from agents.cli import app
from benchmarks.__main__ import COMMANDS
from benchmarks.documents import documents

ROOT = Path(__file__).parents[2]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in documents())
SHELL = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
MODULES = re.compile(r"python -m (benchmarks\.[\w.]+|lm_envs\.[\w.]+)")


def test_commands_of_lm_envs_exist():
    commands = {line.split()[1] for line in SHELL if line.startswith("lm-envs ")}
    assert len(commands) > 8 and commands <= set(get_command(app).commands)


def test_targets_of_make_exist():
    targets = {word for line in SHELL if line.startswith("make ") for word in line.partition("#")[0].split()[1:]}
    makefile = (ROOT / "Makefile").read_text()
    assert {"train", "test", "docs"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_benchmarks_exist():
    commands = set(re.findall(r"python -m benchmarks (\w[\w-]*)", TEXT))
    assert commands and commands <= set(COMMANDS)
    for module in set(MODULES.findall(TEXT)):
        path = ROOT / module.rstrip(".").replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.slow
def test_the_commands_of_the_feedback_loop_run_one_after_the_other(tmp_path, monkeypatch):
    feedback = (ROOT / "docs" / "pages" / "guides" / "feedback.md").read_text()
    (block,) = [block for block in re.findall(r"```bash\n(.*?)```", feedback, re.S) if "lm-envs label" in block]
    commands = [line.partition("#")[0].split()[1:] for line in block.splitlines() if line.startswith("lm-envs")]
    assert [words[0] for words in commands][:2] == ["collect", "label"] and len(commands) == 9
    shorter = {
        "collect": ["--prompts", "24"],
        "train": ["--steps", "2048", "--eval-prompts", "4", "--quiet"],
        "evaluate": ["--prompts", "8"],
        "chat": ["--prompt", "Review of the blue lamp:"],
    }
    monkeypatch.chdir(tmp_path)
    for words in commands:
        if words[0] == "label":  # a person's part
            words = ["feedback", "simulate", words[1], "--reward", "sentiment"]
        result = CliRunner().invoke(app, [*words, *shorter.get(words[0], [])])
        assert result.exit_code == 0, (words, result.output)
    assert (tmp_path / "pleased" / "README.md").exists()
