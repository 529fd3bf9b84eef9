from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def _run(name: str, *arguments: object, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), *filter(None, sys.path)])}
    command = [sys.executable, "-W", "error::UserWarning", str(EXAMPLES / name), *map(str, arguments)]
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_train_ppo(tmp_path: Path) -> None:
    assert "kl/" in _run("train_ppo.py", 2048, cwd=tmp_path)
    assert (tmp_path / "ppo_reviews.zip").exists()
    statements = (EXAMPLES / "train_ppo.py").read_text().splitlines()[2:]
    assert len([line for line in statements if line]) <= 15


@pytest.mark.slow
def test_custom_reward(tmp_path: Path) -> None:
    assert "reward/exclaims" in _run("custom_reward.py", 1024, cwd=tmp_path)


@pytest.mark.slow
def test_own_data(tmp_path: Path) -> None:
    printed = _run("own_data.py", 256, tmp_path, cwd=tmp_path)
    assert "after" in printed
    assert (tmp_path / "run" / "hf" / "model.safetensors").exists()


def test_every_example_has_a_test() -> None:
    tested = {f"{name.removeprefix('test_')}.py" for name in globals() if name.startswith("test_")}
    assert {path.name for path in EXAMPLES.glob("*.py")} <= tested
