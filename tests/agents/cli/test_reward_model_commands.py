from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lm_envs.rewards import RewardModel


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"was it {i}?", "chosen": " good" * (1 + i % 3), "rejected": " bad"} for i in range(24)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_train_a_reward_model(cli: Callable, pairs: Path, lm_folder: str, tmp_path: Path) -> None:
    result = cli("train-reward-model", pairs, "-o", "rm", "-m", lm_folder, "--epochs", 2, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "epoch  2.00  loss" in result.stdout and "held out: accuracy" in result.stdout
    assert "pay it with --reward model:rm" in result.stdout
    assert len(RewardModel(str(tmp_path / "rm"))(["a"], [" good"])) == 1


def test_json_is_the_report_and_quiet_is_quiet(cli: Callable, pairs: Path, lm_folder: str, tmp_path: Path) -> None:
    arguments = ["train-reward-model", pairs, pairs, "-o", "rm", "-m", lm_folder, "--features", "linear"]
    result = cli(*arguments, "--epochs", 2, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "rm" / "report.json").read_text())
    assert report["training"]["comparisons"] + report["validation"]["comparisons"] == 48  # both files
    again = cli(*arguments, "--epochs", 1, "--device", "cpu", "--quiet")
    assert again.exit_code == 0 and again.stdout == ""


def test_an_ensemble(cli: Callable, pairs: Path, lm_folder: str, tmp_path: Path) -> None:
    settings = ["--epochs", 1, "--device", "cpu", "--ensemble", 2, "--json"]
    result = cli("train-reward-model", pairs, "-o", "rm", "-m", lm_folder, *settings)
    assert result.exit_code == 0, result.output
    assert [report["seed"] for report in json.loads(result.stdout)] == [0, 1]
    assert (tmp_path / "rm" / "member-1" / "config.json").is_file()


def test_messages_for_mistakes(cli: Callable, pairs: Path, lm_folder: str, tmp_path: Path) -> None:
    missing = cli("train-reward-model", "nowhere.jsonl", "-o", "rm")
    assert missing.exit_code == 2 and "nowhere.jsonl" in missing.stderr
    (tmp_path / "empty.jsonl").write_text("")
    empty = cli("train-reward-model", "empty.jsonl", "-o", "rm")
    assert empty.exit_code == 2 and "empty" in empty.stderr
    assert cli("train-reward-model", pairs, "-o", "rm", "-m", "tinny").exit_code == 2
    assert not (tmp_path / "rm").exists()
    served = cli("serve-reward", lm_folder, "--port", 0)
    assert served.exit_code == 2 and "has no such output" in served.stderr


def test_a_server_for_everybody_is_pointed_out(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.reward_models.server import RewardServer

    def stopped(self: RewardServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RewardServer, "serve_forever", stopped)
    result = cli("serve-reward", "length", "--host", "0.0.0.0", "--port", 0)
    assert result.exit_code == 0 and "anybody who reaches 0.0.0.0 can use this server" in result.stderr
    monkeypatch.setitem(os.environ, "LM_ENVS_REWARD_TOKEN", "sesame")
    for arguments in (["--host", "0.0.0.0"], ["--host", "localhost"]):
        result = cli("serve-reward", "length", *arguments, "--port", 0)
        assert result.exit_code == 0 and "anybody" not in result.stderr and "serving length" in result.stdout
