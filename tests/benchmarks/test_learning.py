"""The learning benchmark trains as a user would, once for each seed."""

from __future__ import annotations

import json

import pytest

from benchmarks import learning


@pytest.mark.slow
def test_a_toy_budget(tmp_path, capsys):
    file = tmp_path / "learning.json"
    learning.main(["--seeds", "3", "4", "--json", str(file), "--steps", "256", "--n-envs", "8", "--eval-prompts", "8"])
    result = json.loads(file.read_text())
    assert [run["seed"] for run in result["runs"]] == [3, 4]
    assert result["command"].endswith("--steps 256 --n-envs 8 --eval-prompts 8")
    reward = result["summary"]["reward"]
    assert reward["min"] <= reward["after"] <= reward["max"] and 0 <= reward["before"] <= 1
    assert all(run["after"]["n_prompts"] == 8 and run["seconds"] > 0 for run in result["runs"])
    assert "2 seeds" in capsys.readouterr().out


def test_the_curve_is_read_from_the_log(tmp_path):
    (tmp_path / "progress.csv").write_text("time/total_timesteps,eval/reward,loss\n0,0.5,\n64,,1.0\n128,0.75,2.0\n")
    assert learning.curve(tmp_path / "progress.csv") == [{"step": 0.0, "reward": 0.5}, {"step": 128.0, "reward": 0.75}]


def test_a_failed_run_shows_its_message(tmp_path):
    with pytest.raises(SystemExit, match="(?s)unknown task.*mean.*reviews"):
        learning.main(["--task", "reviewz"])


def test_the_summary_is_over_the_seeds():
    def run(before, after):
        return {"before": {"metrics": {"reward": {"mean": before}}}, "after": {"metrics": {"reward": {"mean": after}}}}

    assert learning.summarise([run(0.4, 0.8), run(0.6, 1.0)]) == {
        "reward": {"before": 0.5, "after": 0.9, "min": 0.8, "max": 1.0}
    }
