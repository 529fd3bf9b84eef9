from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import speed_tables
from benchmarks.speed_figure import draw_speed
from benchmarks.speed_report import print_speed, summarise_speed
from benchmarks.speed_tables import Point, in_turns, is_bearable, points
from benchmarks.workload import RANDOM_MODELS, Workload, parameter_count, prepare_model

MACHINE = {"device": "cpu", "cpu": "a processor", "cores": 2, "load_average": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> str:
    return prepare_model(lm_folder, tmp_path_factory.mktemp("numbered") / "model")


def run_of(round_number: int, size: int, speed: float, system: str = "project") -> dict[str, Any]:
    speeds = {"rollout": 3 * speed, "update": 2 * speed, "end_to_end": speed, "peak_memory": 2**30}
    lengths = {"prompt_tokens": size // 3, "new_tokens": size - size // 3}
    return {"round": round_number, "size": size, "system": system, **lengths, **speeds, "note": ""}


def planned(arguments: list[str], model: str, monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    monkeypatch.setattr(speed_tables, "prepared", lambda name, folder: model)
    return points(speed_tables._parser().parse_args(arguments), Path("nowhere"))


def test_lengths_keep_the_prompts_share(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(["lengths"], folder, monkeypatch)
    assert [point.size for point in made] == [48, 96, 192, 384, 768, 1024, 2048]
    assert {point.workload.prompt_tokens + point.workload.new_tokens - point.size for point in made} == {0}
    assert [(p.workload.prompt_tokens, p.workload.new_tokens) for p in (made[0], made[-1])] == [(16, 32), (682, 1366)]
    assert {(point.workload.n_envs, point.workload.minibatch) for point in made} == {(16, 16)}


def test_environments_bound_the_minibatch(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(["envs", "--sizes", "64", "4", "--textbook"], folder, monkeypatch)
    assert [(p.system, p.workload.n_envs, p.workload.minibatch) for p in made] == [
        ("project", 4, 4),
        ("project", 64, 16),
        ("textbook", 4, 4),
        ("textbook", 64, 16),
    ]


def test_models_stand_by_their_weights(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (point,) = planned(["models", "--models", "any"], folder, monkeypatch)
    from transformers import AutoModelForCausalLM

    assert point.size == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())


def test_the_textbook_is_left_out_where_it_is_too_slow(folder: str) -> None:
    assert is_bearable(Workload(folder, 128, 256))
    assert not is_bearable(Workload(folder, 256, 512))
    assert not is_bearable(Workload(folder, 16, 32, n_envs=256))


@pytest.mark.parametrize("name", ["random", "random-0.2m"])
def test_random_models_have_the_size_of_their_name_and_a_long_context(name: str, tmp_path: Path) -> None:
    folder = prepare_model(name, tmp_path)
    millions = {"random": 1.0, "random-0.2m": 0.2}[name]
    assert parameter_count(folder) / 1e6 == pytest.approx(millions, rel=0.2)
    assert json.loads((tmp_path / "config.json").read_text())["max_position_embeddings"] >= 2048
    assert name in RANDOM_MODELS


def test_every_other_round_begins_at_the_other_end(folder: str) -> None:
    pair = [Point(size, "project", Workload(folder, 1, 2)) for size in (48, 96)]
    assert [(number, point.size) for number, point in in_turns(pair, 3)] == [
        (0, 48), (0, 96), (1, 96), (1, 48), (2, 48), (2, 96)
    ]  # fmt: skip


def test_growth_and_ratios_come_from_the_runs() -> None:
    speeds = {48: 1000.0, 96: 500.0, 192: 250.0}
    runs = [run_of(r, size, speed * (1 + r)) for r in (0, 1) for size, speed in speeds.items()]
    result = summarise_speed("lengths", runs)
    assert [point["end_to_end"]["median"] for point in result["points"]] == [1500, 750, 375]
    fit = next(fit for fit in result["fits"] if fit["phase"] == "end_to_end")
    assert fit["exponent"] == pytest.approx(1) and fit["constant"] == pytest.approx(0, abs=1e-9)
    assert {row["phase"]: row["median"] for row in result["ratios"]} == dict.fromkeys(
        ("rollout", "update", "end_to_end"), 0.25
    )


def test_environments_cost_by_the_step() -> None:
    result = summarise_speed("envs", [run_of(0, 1, 100.0), run_of(0, 4, 400.0)])
    fit = next(fit for fit in result["fits"] if fit["phase"] == "end_to_end")
    assert fit["constant"] == pytest.approx(0.01) and fit["exponent"] == pytest.approx(0)


def test_one_size_has_speeds_and_no_fit() -> None:
    result = summarise_speed("lengths", [run_of(0, 48, 100.0)])
    assert result["fits"] == [] and result["ratios"] == [] and len(result["points"]) == 1


def toy_result(table: str) -> dict[str, Any]:
    runs = [run_of(0, 48, 1000), run_of(0, 96, 800), run_of(0, 48, 10, "textbook"), run_of(0, 96, 4, "textbook")]
    settings = {"model": "random", "threads": 1}
    return {"table": table, "settings": settings, "machine": MACHINE, **summarise_speed(table, runs)}


def test_report_shows_speeds_fits_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    print_speed(toy_result("lengths"), Console(width=200))
    shown = capsys.readouterr().out
    assert "random on cpu, a processor, 1 thread(s)" in shown
    assert "3,000" in shown and "32+64" in shown
    assert "textbook, end to end, at 96 / at 48: 0.40 (0.40 to 0.40)" in shown


@pytest.mark.parametrize("table", ["lengths", "envs"])
def test_figure_is_drawn(table: str) -> None:
    pytest.importorskip("matplotlib")
    svg = draw_speed(toy_result(table))
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert all(text in svg for text in ("tokens/s", "end to end, textbook policy", "96"))


@pytest.mark.slow
def test_command_line_measures_in_fresh_processes(
    lm_folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "speed.json"
    options = "lengths --sizes 6 9 --n-envs 2 --minibatch 1 --rounds 1 --measured-tokens 8 --warmup 0".split()
    speed_tables.main([*options, "--model", lm_folder, "--json", str(file)])
    result = json.loads(file.read_text())
    assert [(run["system"], run["size"], run["tokens"]) for run in result["runs"]] == [
        ("project", 6, 8),
        ("project", 9, 12),
    ]
    assert {"date", "commit", "cpu"} <= set(result["machine"])
    assert len(result["fits"]) == 3
    assert file.with_suffix(".svg").read_text().startswith("<?xml")
    assert "project, end to end, at 9 / at 6:" in capsys.readouterr().out
