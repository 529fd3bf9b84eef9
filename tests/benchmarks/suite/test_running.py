"""Cells give the same numbers whatever happens to the run; what fails is reported and stops nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.suite import command, results, running
from benchmarks.suite.cases import BenchmarkSet, Case, Cell, load_set
from benchmarks.suite.progress import Progress
from benchmarks.suite.results import KEYS, ResultsFolder
from benchmarks.suite.running import run, run_cell
from lm_envs.errors import ConfigurationError, DataError

TIMES = {"seconds", "processor_seconds", "peak_memory", "machine"}
RUN_TOY = """
import sys
from pathlib import Path
from rich.console import Console
from benchmarks.engines.local import LocalEngine
from benchmarks.suite.cases import load_set
from benchmarks.suite.progress import Progress
from benchmarks.suite.running import run

if __name__ == "__main__":
    toy = load_set("toy", Path(sys.argv[1]))
    run(toy, toy.cells(), Path(sys.argv[2]), LocalEngine(1), Progress(Console()))
"""


BASELINES = load_set("toy", Path(__file__).with_name("baselines.yml"))


class InOrder:
    """Runs cells in this process."""

    def __init__(self, work: Any = run_cell) -> None:
        self.work = work
        self.ran: list[str] = []

    def run(self, cells: Sequence[Cell], on_done: Any, on_failure: Any) -> None:
        for cell in cells:
            self.ran.append(cell.name)
            try:
                result = self.work(cell)
            except Exception as error:
                on_failure(cell, f"Traceback\n{error}")
            else:
                on_done(cell, result)


def made_up(cell: Cell) -> dict[str, Any]:
    """A result without the work."""
    values = dict.fromkeys(KEYS) | {"fingerprint": cell.fingerprint, "score": 0.5, "seconds": 1.0}
    return values | {"case": cell.case.name, "algorithm": cell.algorithm, "seed": cell.seed}


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    """What has to be equal from one run to the next."""
    return {key: value for key, value in json.loads(json.dumps(result)).items() if key not in TIMES}


@pytest.fixture
def quiet() -> Iterator[Progress]:
    with open(os.devnull, "w") as nowhere:
        yield Progress(Console(file=nowhere))


def test_same_seed_same_numbers_and_other_seeds_others(toy: BenchmarkSet) -> None:
    first, second = (cell for cell in toy.cells() if cell.algorithm == "ppo")
    results = [run_cell(cell) for cell in (first, second, first)]  # also after other cells in one process
    assert numbers(results[0]) == numbers(results[2])
    assert results[0]["metrics"] != results[1]["metrics"]
    assert tuple(results[0]) == KEYS
    assert results[0]["score"] == results[0]["metrics"]["entity_f1"]["mean"]
    assert [point["step"] for point in results[0]["curve"]] == [0, 32]
    assert results[0]["steps"] == 32
    assert [set(text) for text in results[0]["texts"]] == 3 * [
        {"prompt", "before", "after", "reward_before", "reward_after"}
    ]


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_numbers(
    toy: BenchmarkSet, toy_file: Path, tmp_path: Path, quiet: Progress
) -> None:
    folder, script = tmp_path / "killed", tmp_path / "run_toy.py"
    script.write_text(RUN_TOY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(script), str(toy_file), str(folder)], env=environment)
    try:
        while process.poll() is None and not list(folder.glob("cells/*/*.json")):
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = [cell.name for cell in toy.cells() if ResultsFolder(folder).finished(cell)]
    assert 1 <= len(finished) < len(toy.cells())
    engine = InOrder()
    assert run(toy, toy.cells(), folder, engine, quiet) == {}
    assert engine.ran == [cell.name for cell in toy.cells() if cell.name not in finished]
    for cell in toy.cells()[:2]:  # finished by the killed run, and by the one that went on
        kept = ResultsFolder(folder).finished(cell)
        assert kept is not None
        assert numbers(kept) == numbers(run_cell(cell))


def test_finished_cells_are_kept_and_changed_ones_run_again(toy: BenchmarkSet, tmp_path: Path, quiet: Progress) -> None:
    cells = toy.cells()
    first = InOrder(made_up)
    run(toy, cells[:2], tmp_path, first, quiet)
    assert first.ran == [cell.name for cell in cells[:2]]
    changed = dataclasses.replace(cells[0], case=dataclasses.replace(cells[0].case, steps=64))
    second = InOrder(made_up)
    run(toy, [changed, *cells[1:]], tmp_path, second, quiet)
    assert second.ran == [cells[0].name, *(cell.name for cell in cells[2:])]
    assert [each["score"] for each in ResultsFolder(tmp_path).read_cells()] == [0.5] * len(cells)


def test_a_failing_cell_is_reported_and_the_others_finish(toy: BenchmarkSet, tmp_path: Path, quiet: Progress) -> None:
    cells = toy.cells()

    def work(cell: Cell) -> dict[str, Any]:
        if cell is cells[1]:
            raise ValueError("no luck")
        return made_up(cell)

    failures = run(toy, cells, tmp_path, InOrder(work), quiet)
    assert failures == {cells[1].name: "Traceback\nno luck"}
    assert [ResultsFolder(tmp_path).finished(cell) is None for cell in cells] == [cell is cells[1] for cell in cells]
    again = InOrder(made_up)
    assert run(toy, cells, tmp_path, again, quiet) == {}
    assert again.ran == [cells[1].name]


def test_a_full_disk_loses_no_cell_that_has_ended(
    toy: BenchmarkSet, tmp_path: Path, quiet: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, write = toy.cells(), results.write_json

    def full(path: Path, content: Any) -> None:
        if path == ResultsFolder(tmp_path).file(cells[1]):
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(results, "write_json", full)
    with pytest.raises(ConfigurationError, match=r"No space left on device.*are kept.*run the same command again"):
        run(toy, cells, tmp_path, InOrder(made_up), quiet)
    assert ResultsFolder(tmp_path).finished(cells[0])


def test_an_undefined_score_is_told_as_such(
    toy: BenchmarkSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = InOrder(lambda cell: {**made_up(cell), "score": None})
    assert run(toy, toy.cells(), tmp_path, engine, Progress(Console())) == {}
    assert "entity_f1 undefined, 1 s" in capsys.readouterr().out
    Console().print(command.listing(toy.cells(), ResultsFolder(tmp_path)))
    assert "undefined" in capsys.readouterr().out


def test_a_score_that_nobody_measures(toy: BenchmarkSet) -> None:
    cell = next(cell for cell in toy.cells() if cell.algorithm == "random")
    wrong = dataclasses.replace(cell, case=dataclasses.replace(cell.case, score="f1"))
    with pytest.raises(ConfigurationError, match=r"'labels' is scored by 'f1'.*labels/random/0 has reward.*entity_f1"):
        run_cell(wrong)


def test_a_set_for_a_gpu_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"error: this set runs on 'cuda', and torch finds no GPU here"):
        command.main(["--set", "smollm2", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"fingerprint": "0"}'])
def test_a_damaged_file_is_named(text: str, toy: BenchmarkSet, tmp_path: Path, quiet: Progress) -> None:
    cell = toy.cells()[0]
    run(toy, [cell], tmp_path, InOrder(made_up), quiet)
    ResultsFolder(tmp_path).file(cell).write_text(text)
    with pytest.raises(DataError, match=r"ppo-0.json' (cannot be read|is damaged).*Delete it"):
        run(toy, [cell], tmp_path, InOrder(made_up), quiet)


def test_a_folder_that_cannot_be_written(toy: BenchmarkSet, tmp_path: Path, quiet: Progress) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot write results into.*Choose another folder with --out"):
        run(toy, toy.cells(), tmp_path / "file" / "out", InOrder(made_up), quiet)


def test_a_folder_of_another_set_is_left_alone(toy: BenchmarkSet, tmp_path: Path, quiet: Progress) -> None:
    run(toy, toy.cells(), tmp_path, InOrder(made_up), quiet)
    other = dataclasses.replace(toy, name="other")
    with pytest.raises(ConfigurationError, match=r"has the results of the set 'toy'; got 'other'.*--out"):
        run(other, other.cells(), tmp_path, InOrder(made_up), quiet)


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no suite.json"):
        ResultsFolder(tmp_path).read_cells()


def test_an_undefined_metric_is_no_nan() -> None:
    found = running._without_nan({"metrics": {"f1": {"mean": float("nan"), "low": 0.5}}, "curve": [float("inf"), 1]})
    assert found == {"metrics": {"f1": {"mean": None, "low": 0.5}}, "curve": [None, 1]}


def use_toy(monkeypatch: pytest.MonkeyPatch, toy: BenchmarkSet, engine: InOrder) -> None:
    monkeypatch.setattr(command, "load_set", lambda name: toy)
    monkeypatch.setattr(engine, "jobs", 1, raising=False)
    monkeypatch.setattr("benchmarks.engines.local.LocalEngine", lambda jobs: engine)


def test_the_command_tells_of_failures_at_the_end(
    toy: BenchmarkSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(cell: Cell) -> dict[str, Any]:
        if cell.seed == 1:
            raise ValueError("no luck")
        return made_up(cell)

    use_toy(monkeypatch, toy, InOrder(work))
    with pytest.raises(SystemExit) as ended:
        command.main(["--out", str(tmp_path), "--only", "*/random/*"])
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 1
    assert "labels/random/0: entity_f1 0.500, 1 s (1 left" in shown
    assert "1 cells failed: labels/random/1." in shown
    use_toy(monkeypatch, toy, InOrder(made_up))
    command.main(["--out", str(tmp_path), "--only", "*/random/*"])
    assert "2 cells, 1 finished already, 1 to run" in " ".join(capsys.readouterr().out.split())
    command.main(["--out", str(tmp_path), "--list"])
    listed = capsys.readouterr().out
    assert listed.count("finished") == 2
    assert listed.count("to run") == 2


def test_ctrl_c_tells_how_to_go_on(
    toy: BenchmarkSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(cell: Cell) -> dict[str, Any]:
        raise KeyboardInterrupt

    use_toy(monkeypatch, toy, InOrder(work))
    with pytest.raises(SystemExit) as ended:
        command.main(["--quick", "--out", str(tmp_path)])
    assert ended.value.code == 130
    shown = " ".join(capsys.readouterr().out.split())
    assert "Finished cells are kept in" in shown
    assert "go on with: python -m benchmarks run --quick --out" in shown


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--set", "quik"], "error: unknown set 'quik'. Did you mean 'quick'"),
        (["--only", "*/pop/*"], "error: no cell fits the pattern"),
        (["--jobs", "0"], "error: jobs must be at least 1; got 0"),
    ],
)
def test_what_cannot_work_is_one_line(arguments: list[str], match: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=match):
        command.main([*arguments, "--out", str(tmp_path)])


@pytest.mark.parametrize("case", BASELINES.cases, ids=[case.name for case in BASELINES.cases])
def test_baselines_of_each_kind_of_data(case: Case) -> None:
    scores = {name: run_cell(Cell(case, name, 0, BASELINES.measuring))["score"] for name in case.baselines}
    assert scores["best_of_n"] >= scores.get("writing", scores["untrained"])
    assert "oracle" not in scores or scores["oracle"] == max(scores.values())


def test_curves_begin_at_the_untrained_policy() -> None:
    case = BASELINES.cases[0]
    (start,), (first, *_) = (
        run_cell(Cell(case, name, 0, BASELINES.measuring))["curve"] for name in ("untrained", "ppo")
    )
    assert start == first


def test_where_agents_choose_the_untrained_policy_does_and_another_one_writes() -> None:
    (case,) = (case for case in BASELINES.cases if case.name == "acts")
    texts = {
        name: [text["after"] for text in run_cell(Cell(case, name, 0, BASELINES.measuring))["texts"]]
        for name in ("untrained", "writing")
    }
    assert texts["untrained"] != texts["writing"]
