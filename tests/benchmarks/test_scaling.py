"""Scaling: two real ranks, and how measurements are put together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from benchmarks import scaling


def found(round_number: int, ranks: int, speed: float) -> dict[str, Any]:
    names = dict.fromkeys((*scaling.METRICS, "exchange_share", "peak_memory"), speed)
    return {"round": round_number, "ranks": ranks, **names}


def test_numbers_of_ranks_take_turns_in_alternating_order() -> None:
    assert list(scaling.plan([1, 2], 2)) == [(0, 1), (0, 2), (1, 2), (1, 1)]


def test_the_slowest_rank_counts_and_tokens_add_up() -> None:
    fast = {"tokens": 100, "seconds": {"rollout": 1.0, "scoring": 1.0, "update": 2.0}, "exchange": 1.0}
    slow = {"tokens": 100, "seconds": {"rollout": 2.0, "scoring": 1.0, "update": 2.0}, "exchange": 0.5}
    run = scaling.joined([{**fast, "peak_memory": 5}, {**slow, "peak_memory": 4}])
    assert (run["ranks"], run["tokens"], run["peak_memory"]) == (2, 200, 5)
    assert (run["rollout"], run["update"], run["end_to_end"]) == (100, 100, 40)
    assert run["exchange_share"] == 0.2


def test_ratios_are_taken_within_a_round() -> None:
    runs = [found(0, 1, 10), found(0, 2, 20), found(1, 2, 5), found(1, 1, 4)]
    (row,) = (row for row in scaling.compare(runs) if row["name"] == "end_to_end, 2 ranks / 1")
    assert (row["min"], row["median"], row["max"]) == (1.25, 1.625, 2.0)
    assert scaling.compare(runs[:1]) == []


def test_more_ranks_than_cores_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scaling.parse(["--ranks", "1", "100000"])
    assert "the cores that this process may use" in capsys.readouterr().err


@pytest.mark.slow
def test_main_measures_a_rank_and_writes_it(tmp_path: Any, lm_folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scaling.json"
    scaling.main(["--model", lm_folder, "--ranks", "1", "--rounds", "1", "--length", "3+4", "--n-envs", "4",
                  "--minibatch", "2", "--measured-tokens", "16", "--json", str(file)])  # fmt: skip
    result = json.loads(file.read_text())
    assert result["benchmark"] == "scaling" and result["settings"]["length"] == "3+4" and "cpu" in result["machine"]
    (run,) = result["runs"]
    assert run["ranks"] == 1 and run["tokens"] == 16 and run["exchange_share"] == 0 and run["end_to_end"] > 0
    assert "tokens/s of all ranks" in capsys.readouterr().out


def test_tables_show_ratios() -> None:
    runs = [found(0, 1, 10), found(0, 2, 19)]
    console = Console(record=True, width=120)
    head = {
        "machine": {"cpu": "a processor", "load_average": 0.1},
        "settings": {"model": "tiny", "length": "3+4", "n_envs": 4},
    }
    scaling.print_tables({**head, "summary": scaling.summarise(runs), "ratios": scaling.compare(runs)}, console)
    assert "end_to_end, 2 ranks / 1: 1.90 (1.90 to 1.90)" in console.export_text()
