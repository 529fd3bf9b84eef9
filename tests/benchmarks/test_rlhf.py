from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import over_optimisation, rlhf
from benchmarks.hidden_reward import pleased_and_well_formed
from benchmarks.readme_cells import RESULTS


def test_the_hidden_reward_is_sentiment_of_well_formed_text_only() -> None:
    prompts = ["I have had this cereal for over a month."] * 3
    texts = [" It is the best cereal I have ever had.", " I am simply frustrated.", " I truly truly pleased."]
    good, bad, broken = pleased_and_well_formed(prompts, texts)
    assert good > 0.7 > 0.5 > bad > 0 == broken


@pytest.mark.slow
def test_ways_to_use_feedback_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rlhf, "ALGORITHMS", ("grpo",))
    settings = rlhf._parser().parse_args("--pairs 24 --steps 4096 --epochs 1 --prompts 8".split())
    run = rlhf.run(3, settings)
    names = ["no training", "PPO, one round", "PPO, two rounds", "best of 8, chosen by the reward model"]
    assert [row["name"] for row in run["rows"]] == [*names, "supervised, on the chosen completions", "GRPO, one go"]
    assert [row["tokens"] for row in run["rows"][:4]] == [0, 2048, 4096, 0]
    assert run["rows"][-1]["tokens"] == 4096 and run["rows"][-1]["metrics"]["kl"] != 0
    assert len(run["accuracy"]) == 2 and run["reached"][0] == run["rows"][0]["metrics"]["reward"]
    assert [column.header for column in rlhf.table([run]).columns][1] == "hidden reward"


@pytest.mark.slow
def test_command_line_follows_both_rewards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = "--seeds 0 --pairs 24 --members 2 --steps 4096 --points 1 --prompts 8"
    over_optimisation.main(["--folder", str(tmp_path), *sizes.split()])
    runs = json.loads((tmp_path / "over_optimisation.json").read_text())["runs"]
    assert [run["arm"] for run in runs] == list(over_optimisation.COLORS)
    for run in runs:
        assert [point["step"] for point in run["curve"]] == [0, 4096]
        assert run["curve"][0]["kl"] == pytest.approx(0, abs=1e-4) and run["curve"][-1]["kl"] != 0
    assert (tmp_path / "over_optimisation.png").stat().st_size > 10_000
    assert "ensemble" in capsys.readouterr().out


def test_published_results_are_those_of_the_present_benchmarks() -> None:
    result = json.loads((RESULTS / "rlhf.json").read_text())
    assert len(result["runs"]) >= 3
    algorithms = [f"{name.upper()}, one go" for name in rlhf.ALGORITHMS]
    assert all([row["name"] for row in run["rows"]][-len(algorithms) :] == algorithms for run in result["runs"])
    curves = json.loads((RESULTS / "over_optimisation.json").read_text())["runs"]
    assert {run["arm"] for run in curves} == set(over_optimisation.COLORS)
