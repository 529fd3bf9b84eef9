"""Processes that die are replaced, and it is known whose cell they had."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines.local import THREAD_VARIABLES, LocalEngine
from benchmarks.suite.cases import Case, Cell
from lm_envs.errors import ConfigurationError

CASE = Case("toy", "toy", "TextGen-v0", "reward", 1.0, 8, algorithms={"ppo": {}}, baselines={"random": {}})
SLEEP = 600  # seconds
CELLS = [Cell(CASE, "ppo", seed) for seed in range(5)]


def tried(folder: Path, cell: Cell) -> int:
    """How often a cell has been begun, this time included."""
    with (folder / str(cell.seed)).open("a") as file:
        file.write(".")
    return (folder / str(cell.seed)).stat().st_size


def work(cell: Cell) -> dict[str, Any]:
    """Cell 1 dies at its first try, cell 2 raises, cell 3 dies at every try."""
    times = tried(Path(os.environ["TOY_FOLDER"]), cell)
    if cell.seed == 3 or (cell.seed == 1 and times == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if cell.seed == 2:
        raise ValueError("no luck with cell 2")
    return {"seed": cell.seed, "threads": [os.environ[name] for name in THREAD_VARIABLES], "process": os.getpid()}


def first_is_quick(cell: Cell) -> dict[str, Any]:
    """Cell 0 ends when cell 1 has begun, which goes on for long."""
    begun = Path(os.environ["TOY_FOLDER"]) / "1"
    if cell.seed:
        (begun.parent / "scratch").write_text(tempfile.mkdtemp())
        tried(begun.parent, cell)
        time.sleep(SLEEP)
    while not begun.exists():
        time.sleep(0.01)
    return {}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOY_FOLDER", str(tmp_path))
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(Path(__file__).parent)]))
    return tmp_path


def test_deaths_and_exceptions_lose_nothing_else(folder: Path) -> None:
    done: dict[int, dict[str, Any]] = {}
    failed: dict[int, str] = {}
    LocalEngine(2, retries=1, work=work).run(
        CELLS, lambda cell, result: done.update({cell.seed: result}), lambda cell, why: failed.update({cell.seed: why})
    )
    assert {seed: result["seed"] for seed, result in done.items()} == {0: 0, 1: 1, 4: 4}
    assert set(failed) == {2, 3}
    assert "ValueError: no luck with cell 2" in failed[2]
    assert "in work" in failed[2]
    assert failed[3].startswith("its process died, 2 times.")
    tries = {int(file.name): file.stat().st_size for file in folder.iterdir()}
    assert tries == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1}
    assert all(result["threads"] == ["1", "1", "1"] for result in done.values())
    assert os.getpid() not in {result["process"] for result in done.values()}


def test_what_a_callback_raises_ends_the_processes_and_leaves_no_files(folder: Path) -> None:
    def interrupted(cell: Cell, result: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    own = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        LocalEngine(2, work=first_is_quick).run(CELLS[:2], interrupted, pytest.fail)
    assert time.monotonic() - start < SLEEP
    assert {name: os.environ.get(name) for name in THREAD_VARIABLES} == own
    assert not Path((folder / "scratch").read_text()).exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"jobs": 0}, "jobs must be at least 1; got 0"), ({"retries": -1}, "retries must be at least 0; got -1")],
)
def test_numbers_are_checked(arguments: dict[str, int], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        LocalEngine(**arguments)
