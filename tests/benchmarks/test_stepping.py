from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import stepping


def test_command_line_measures_whole_episodes(
    lm_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stepping, "pin", lambda threads: None)  # this process has other tests to run
    file = tmp_path / "result.json"
    options = "--n-envs 4 --prompt-tokens 4 --new-tokens 5 --episodes 2 --rounds 3".split()
    stepping.main(["--model", lm_folder, "--json", str(file), *options])
    result = json.loads(file.read_text())
    assert result["benchmark"] == "stepping"
    assert len(result["rounds"]) == 3
    speed = result["tokens_per_second"]
    assert 0 < speed["min"] <= speed["median"] <= speed["max"]
    assert result["settings"]["n_envs"] == 4
    assert "4 environments, 5-token episodes" in capsys.readouterr().out
