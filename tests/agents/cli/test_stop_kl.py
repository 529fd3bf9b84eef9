"""``lm-envs train --stop-kl``: the limit reaches the run, and the user is told why it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def test_the_user_is_told_why_the_run_ended(cli: Callable, tmp_path: Path, train_options: list[str]) -> None:
    fast = ["-H", "learning_rate=0.1", "--steps", 2_000, "--run", "run"]
    result = cli(*train_options, *fast, "--stop-kl", 0.05)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert "warning: stopped after" in said and "above the limit of 0.05" in said
    assert "after" in result.stdout  # the evaluation and the report are there all the same
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["kl_stop"] == 0.05
    again = cli("train", "--resume", "run")
    assert again.exit_code == 0 and "above the limit of 0.05" in " ".join(again.output.split())


def test_a_value_learner_has_no_divergence(cli: Callable) -> None:
    result = cli("train", "--algo", "dqn", "--stop-kl", 1.0)
    assert result.exit_code == 2
    assert "kl_stop limits the divergence" in " ".join(result.stderr.split())
