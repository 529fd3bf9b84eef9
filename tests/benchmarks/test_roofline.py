from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import LlamaConfig

from benchmarks import roofline
from benchmarks.roofline import place, print_roofline
from benchmarks.roofline_figure import draw_roofline
from benchmarks.roofs import measure_roofs
from benchmarks.work_counts import WorkCounts
from benchmarks.workload import Workload

CONFIG = LlamaConfig(vocab_size=96, hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4)
WORKLOAD = Workload("", 4, 6, n_envs=8, minibatch=4)


def run_of(seconds: float) -> dict[str, Any]:
    """Two iterations of as many seconds in each phase."""
    lengths = {"prompt_tokens": 4, "new_tokens": 6, "tokens": 2 * WORKLOAD.tokens}
    return {**lengths, "seconds": dict.fromkeys(("rollout", "scoring", "update"), 2 * seconds)}


def placed(bandwidth: float, arithmetic: float = 1e9) -> dict[str, dict[str, Any]]:
    roofs = {"float32": arithmetic, "bfloat16": 2 * arithmetic, "bytes": bandwidth}
    rows = place(WorkCounts(CONFIG), WORKLOAD, [run_of(0.5), run_of(1.0), run_of(2.0)], roofs, "float32")
    return {row["phase"]: row for row in rows}


def test_the_lower_roof_counts() -> None:
    wide, narrow = placed(1e12), placed(1e6)
    update = WorkCounts(CONFIG).update(WORKLOAD)
    assert {row["roof_is"] for row in wide.values()} == {"arithmetic"}
    assert {row["roof"] for row in wide.values()} == {1e9}
    assert {row["roof_is"] for row in narrow.values()} == {"bandwidth"}
    assert narrow["update"]["roof"] == pytest.approx(update.intensity * 1e6)


def test_speed_is_that_of_an_iteration_in_the_median_round() -> None:
    row = placed(1e12)["update"]
    flops = WorkCounts(CONFIG).update(WORKLOAD).flops
    assert row["seconds"] == {"median": 1.0, "min": 0.5, "max": 2.0}
    assert row["flops_per_second"] == pytest.approx(flops)
    assert row["share"] == pytest.approx(flops / 1e9)


def test_lengths_that_were_not_measured_yet_are_left_out() -> None:
    other = Workload("", 5, 6, n_envs=8, minibatch=4)
    assert place(WorkCounts(CONFIG), other, [run_of(1.0)], {"float32": 1.0, "bytes": 1.0}, "float32") == []


def test_roofs_are_measured() -> None:
    roofs = measure_roofs("cpu", side=64, copied_bytes=2**16)
    assert set(roofs) == {"float32", "bfloat16", "bytes"}
    assert all(1e6 < speed < 1e16 for speed in roofs.values())


def toy_result() -> dict[str, Any]:
    machine = {"device": "cpu", "cpu": "a processor", "cores": 2}
    return {
        "settings": {"model": "tiny", "threads": 1, "dtype": "float32"},
        "machine": machine,
        "roofs": {"float32": 1e9, "bfloat16": 2e9, "bytes": 1e8},
        "phases": list(placed(1e8).values()),
    }


def test_report_shows_roofs_and_phases(capsys: pytest.CaptureFixture[str]) -> None:
    print_roofline(toy_result(), Console(width=200))
    shown = capsys.readouterr().out
    assert "matrix product: 1 GFLOP/s in float32, 2 in bfloat16; copy: 0.1 GB/s" in shown
    assert all(text in shown for text in ("rollout", "scoring", "update", "4+6", "bandwidth"))


def test_figure_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    svg = draw_roofline(toy_result())
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert all(text in svg for text in ("matrix product, float32: 1 GFLOP/s", "copy: 0.1 GB/s", "update 4+6"))


@pytest.mark.slow
def test_command_line_measures_in_fresh_processes(lm_folder: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "roofline.json"
    options = "--lengths 2+3 --n-envs 2 --minibatch 1 --rounds 1 --measured-tokens 8".split()
    roofline.main([*options, "--model", lm_folder, "--json", str(file)])
    result = json.loads(file.read_text())
    assert [(row["length"], row["phase"]) for row in result["phases"]] == [
        ("2+3", "rollout"), ("2+3", "scoring"), ("2+3", "update")
    ]  # fmt: skip
    assert all(0 < row["share"] < 1 for row in result["phases"])
    assert file.with_suffix(".svg").read_text().startswith("<?xml")
