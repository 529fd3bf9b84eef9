"""Parts about scale: what they say of results, and that they say so where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import readme_cells, readme_scale
from benchmarks.readme_scale import gpu_part, roofline_part, scaling_part, sizes_part
from benchmarks.scaling import compare, summarise
from benchmarks.speed_report import summarise_speed

PAGE = readme_cells.ROOT / "docs" / "pages" / "measured" / "scale.md"
SETTINGS = {"model": "tiny", "n_envs": 16, "threads": 1, "dtype": "float32", "rounds": 2}
MACHINE = {"cores": 2, "cpu": "Processor", "device": "cpu"}


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    for module in (readme_cells, readme_scale):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def speed_runs() -> list[dict[str, Any]]:
    common = {"system": "project", "prompt_tokens": 16, "new_tokens": 32, "note": "", "peak_memory": 2**30}
    return [
        {**common, "round": number, "size": size, "rollout": 4.8e6 / size, "update": 1e6, "end_to_end": 1e5 + number}
        for number in (0, 1)
        for size in (48, 480)
    ]


def put(folder: Path, name: str, **result: Any) -> None:
    (folder / name).write_text(json.dumps({"settings": SETTINGS, "machine": MACHINE, **result}))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (sizes_part("lengths"), "Not measured yet: `python -m benchmarks speed lengths --json"),
        (scaling_part, "Not measured yet: `python -m benchmarks scaling --json"),
        (roofline_part, "Not measured yet: `python -m benchmarks roofline --json"),
        (gpu_part, "Nothing was measured on a GPU"),
    ],
)
def test_what_was_not_measured_is_said(results, part, said):
    assert part(PAGE).startswith(said)


def test_speed_against_lengths(results):
    put(results, "speed_lengths.json", table="lengths", **summarise_speed("lengths", speed_runs()))
    lines = sizes_part("lengths")(PAGE).splitlines()
    assert lines[0].endswith("median of 2 rounds on a shared 2-core Processor machine:")
    assert "| 480 | 16+32 | this project | 10,000 | 1,000,000 | 100,000 |" in lines
    assert "| this project | rollout | 0 | 0.208 | 0% | 1.00 |" in lines
    assert "| this project, rollout, at 480 / at 48 | 0.10 (0.10 to 0.10) |" in lines
    assert not any(line.startswith("![") for line in lines)


def test_the_figure_is_where_the_site_has_it(results):
    put(results, "speed_envs.json", table="envs", **summarise_speed("envs", speed_runs()))
    (results / "speed_envs.svg").write_text("<svg/>")
    assert "](../results/speed_envs.svg)" in sizes_part("envs")(PAGE)


def test_scaling(results):
    runs = [
        {"round": 0, "ranks": ranks, "rollout": 10.0 * ranks, "update": 8.0 * ranks, "end_to_end": 4.5 * ranks}
        | {"exchange_share": 0.025 * ranks, "peak_memory": 2**30}
        for ranks in (1, 2)
    ]
    put(results, "scaling.json", summary=summarise(runs), ratios=compare(runs))
    text = scaling_part(PAGE)
    assert "| 2 | 20 | 16 | 9 | 5.0% |" in text and "| end_to_end, 2 ranks / 1 | 2.00 (2.00 to 2.00) |" in text


def test_roofline(results):
    phase = {"length": "16+32", "phase": "update", "flops": 5e9, "bytes": 1e9, "intensity": 5.0, "share": 0.5}
    phase |= {"seconds": {"median": 0.25}, "flops_per_second": 2e10, "roof": 4e10, "roof_is": "bandwidth"}
    put(results, "roofline.json", roofs={"float32": 5e10, "bfloat16": 7e10, "bytes": 8e9}, phases=[phase])
    text = roofline_part(PAGE)
    assert "reaches 50 GFLOP/s in float32 and 70 in bfloat16, a large copy 8.0 GB/s:" in text
    assert text.endswith("| 16+32 | update | 5.0 | 1.00 | 5.0 | 0.250 | 20.0 | 40.0 | bandwidth | 50% |")
