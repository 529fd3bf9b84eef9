from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import throughput
from benchmarks.throughput_report import compare
from benchmarks.worker import measure
from benchmarks.workload import Workload, prepare_model


def toy(folder: str, minibatch: int) -> Workload:
    return Workload(
        folder, prompt_tokens=3, new_tokens=6, n_envs=16, minibatch=minibatch, warmup=1, measured_tokens=192
    )


@pytest.mark.filterwarnings("ignore")  # TRL's and the trainer's own, of which there are several
def test_trl_does_the_same_work(tmp_path: Path, lm_folder: str) -> None:
    pytest.importorskip("trl")
    folder = prepare_model(lm_folder, tmp_path / "model")
    result = measure("trl/4", toy(folder, minibatch=4))
    assert result["tokens"] == 192  # two iterations of 16 episodes of 6 tokens: none ended early
    assert result["rollout"] > 0 and result["update"] > 0
    assert result["note"] == "scoring is part of the rollout"


def test_peers_choose_systems() -> None:
    settings = throughput.parse(["--peer", "trl", "--peer-minibatches", "16", "64"])
    assert settings.systems == ["project", "grpo", "trl"]
    assert throughput._with_settings(settings) == ["project", "grpo", "trl/16", "trl/64"]
    assert throughput.parse(["--peer", "generate"]).systems == ["project", "generate"]


def test_peer_and_systems_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        throughput.parse(["--peer", "trl", "--systems", "project"])
    assert "leave --systems and --algorithm out" in capsys.readouterr().err


def test_settings_in_a_name_change_the_workload() -> None:
    base = Workload("folder", 1, 2, minibatch=16)
    plan = list(throughput.plan(base, [(1, 2)], ["project", "trl/64"], rounds=1))
    assert [(system, workload.minibatch) for _, system, workload in plan] == [("project", 16), ("trl/64", 64)]


def run_of(system: str, speed: float) -> dict[str, object]:
    names = ("rollout", "update", "end_to_end")
    return {"round": 0, "system": system, "prompt_tokens": 1, "new_tokens": 2} | dict.fromkeys(names, speed)


def test_ratios_are_to_the_fastest_setting() -> None:
    runs = [run_of("project", 12.0), run_of("grpo", 8.0), run_of("trl/16", 2.0), run_of("trl/64", 4.0)]
    ratios = {row["name"]: row["median"] for row in compare(runs)}
    assert ratios == {
        "end_to_end, project / trl": 3,
        "end_to_end, grpo / trl": 2,
    }
