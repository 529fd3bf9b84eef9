"""Folders of results that nobody measured."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import statistics

MACHINE = {
    "date": "2026-11-22T10:00:00+00:00", "commit": "0123456789ab", "cpu": "Some CPU", "cores": 2, "load_average": 0.5,
    "device": "cpu", "system": "Linux x86_64", "python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0",
    "stable-baselines3": "2.9.2", "gymnasium": "1.4.0", "numpy": "2.4.6", "trl": None,
}  # fmt: skip

FINGERPRINT = "0" * 12
Key = tuple[str, str, int]


def case(name: str, algorithms: Iterable[str], baselines: Iterable[str] = ("untrained",), **values: Any) -> dict:
    """What ``suite.json`` says of a case."""
    shown = {"title": f"Case {name}", "env_id": "TextGen-v0", "score": "reward", "best": 2.0, "steps": 1000}
    return {"name": name, **shown, **values, "algorithms": list(algorithms), "baselines": list(baselines)}


def cell(key: Key, score: float | None, **values: Any) -> dict[str, Any]:
    """A cell's result."""
    name, algorithm, seed = key
    baseline = algorithm in ("untrained", "random", "best_of_n", "supervised", "oracle")
    before = {} if baseline else {"before": "The lamp is bad.", "reward_before": 0.1}
    curve = [] if baseline or score is None else [{"step": 0, "score": 1.0}, {"step": 1000, "score": score}]
    return {
        "case": name, "algorithm": algorithm, "seed": seed, "kind": "baseline" if baseline else "learned",
        "fingerprint": FINGERPRINT, "command": f"python -m benchmarks run --only {name}/{algorithm}/{seed}",
        "settings": {"seed": seed, "train": None if baseline else {"seed": seed, "steps": 1000}}, "steps": 1000,
        "score": score, "metrics": {"reward": {"mean": score, "low": None, "high": None}}, "curve": curve,
        "texts": [{"prompt": "My lamp:", **before, "after": f"{algorithm} <b>likes</b> | `it`.", "reward_after": 0.9}],
        "seconds": 10.0, "processor_seconds": 9.0, "peak_memory": 2**28, "machine": MACHINE, **values,
    }  # fmt: skip


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., Path]:
    """:func:`write_results` into a temporary folder."""
    return functools.partial(write_results, tmp_path)


def write_results(
    root: Path, cases: list[dict[str, Any]], scores: Mapping[Key, float | None], seeds: Iterable[int] = (0, 1)
) -> Path:
    """Write a folder of results with scores by case, algorithm and seed."""
    folder = root / "results" / "suite"
    folder.mkdir(parents=True)
    suite = {"set": "suite", "model": "tiny", "device": "cpu", "seeds": list(seeds), "cases": cases}
    declared = [(each["name"], name) for each in cases for name in (*each["algorithms"], *each["baselines"])]
    fingerprints = {f"{name}/{who}/{seed}": FINGERPRINT for name, who in declared for seed in suite["seeds"]}
    own = {"machine": MACHINE, "command": "python -m benchmarks run", "fingerprints": fingerprints}
    (folder / "suite.json").write_text(json.dumps({**suite, **own}))
    for key, score in scores.items():
        put(folder, cell(key, score))
    return folder


def put(folder: Path, result: dict[str, Any]) -> Path:
    """Write a cell's result."""
    file = folder / "cells" / result["case"] / f"{result['algorithm']}-{result['seed']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result))
    return file


@pytest.fixture(scope="module", autouse=True)
def _few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "N_RESAMPLES", 100)
        yield
