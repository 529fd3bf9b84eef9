"""The README tells the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import readme

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_measured_numbers_are_those_of_the_result_files():
    assert readme.updated(TEXT) == TEXT, "run: python -m benchmarks.readme"


def test_a_missing_part_is_reported():
    with pytest.raises(ValueError, match="expected one part 'learning'"):
        readme.updated("# lm_envs")


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if not link.startswith("http")]
    assert links and all((ROOT / link).exists() for link in links)


TRAINING = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "model.learn(" in block]


@pytest.mark.slow
@pytest.mark.parametrize("code", TRAINING, ids=["PPO", "DQN"])
def test_the_training_examples_run(code, tmp_path):
    shorter = re.sub(r"model\.learn\([\d_]+", "model.learn(2_500", code)
    assert shorter != code
    (tmp_path / "example.py").write_text(shorter)
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ppo.zip").exists() == ("model.save" in code)


def test_the_environment_lines_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "We bought this lamp."}\n')
    blocks = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "gym.make" in block]
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)
    assert len(blocks) == 2


def test_its_commands_exist():
    from typer.main import get_command

    from agents.cli import app

    commands = set(re.findall(r"^lm-envs (\w+)", TEXT, re.M))
    assert commands and commands <= set(get_command(app).commands)
    targets = set(re.findall(r"^make (\w+)", TEXT, re.M))
    makefile = (ROOT / "Makefile").read_text()
    assert {"train", "test"} <= targets and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)
