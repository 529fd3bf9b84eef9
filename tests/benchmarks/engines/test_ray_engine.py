from __future__ import annotations

import dataclasses
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines.ray_engine import RayEngine
from benchmarks.suite.cases import Case, Cell, Measuring
from benchmarks.suite.running import run_cell
from lm_envs.errors import ConfigurationError, MissingDependencyError

OF_THE_MACHINE = ("seconds", "processor_seconds", "peak_memory", "machine")
ROOT = Path(__file__).parents[3]
CASE = Case("toy", "A toy", "TextGen-v0", "reward", 1.0, 8, algorithms={"ppo": {}}, baselines={"untrained": {}})


def toy_cell(seed: int, device: str = "cpu") -> Cell:
    return Cell(CASE, "ppo", seed, Measuring(device=device))


def learned_cell(model: str) -> Cell:
    toy = {"task": "reviews", "reward": "repetition", "env_kwargs": {"max_new_tokens": 4}}
    case = dataclasses.replace(CASE, name="learned", algorithms={"ppo": {"n_envs": 2}}, **toy)
    return Cell(case, "ppo", 0, Measuring(model, eval_prompts=4, curve_prompts=2, curve_points=2))


def dying(folder: Path) -> Callable[[Cell], dict[str, Any]]:
    """Cell 1 dies at its first try, cell 2 raises, cell 3 dies at every try; the tries are counted in ``folder``.

    A cell of another case than the toy is run.
    """

    def work(cell: Cell) -> dict[str, Any]:  # within a function: Ray sends it by value, as workers have no tests
        from benchmarks.suite import running

        if cell.case.name != "toy":
            return running.run_cell(cell)
        with (folder / str(cell.seed)).open("a") as tries:
            tries.write(".")
            first = tries.tell() == 1
        if cell.seed == 2:
            raise ValueError("no such reward")
        if cell.seed == 3 or (cell.seed == 1 and first):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"seed": cell.seed, "code": running.__file__, "threads": os.environ["OMP_NUM_THREADS"]}

    return work


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in OF_THE_MACHINE}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_same_numbers_and_dead_workers_or_exceptions_do_not_lose_the_run(tmp_path: Path, lm_folder: str) -> None:
    ray = pytest.importorskip("ray")
    learned = learned_cell(lm_folder)
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    engine = RayEngine(jobs=2, retries=1, work=dying(tmp_path))
    engine.run(
        [*(toy_cell(seed) for seed in range(5)), learned],
        lambda cell, result: done.update({cell.name: result}),
        lambda cell, why: failed.update({cell.name: why}),
    )
    assert set(failed) == {"toy/ppo/2", "toy/ppo/3"}, failed
    assert numbers(done.pop(learned.name)) == numbers(run_cell(learned))
    assert {name: result["seed"] for name, result in done.items()} == {f"toy/ppo/{seed}": seed for seed in (0, 1, 4)}
    assert "no such reward" in failed["toy/ppo/2"] and "in work" in failed["toy/ppo/2"]
    assert failed["toy/ppo/3"].startswith("its worker died, at the first try and 1 more:")
    assert {file.name: len(file.read_text()) for file in tmp_path.iterdir()} == {"0": 1, "1": 2, "2": 1, "3": 2, "4": 1}
    assert {result["threads"] for result in done.values()} == {"1"}
    assert {Path(result["code"]).parents[1] for result in done.values()} == {ROOT / "benchmarks"}
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"gpus": -1}, "gpus must be at least 0, got -1"),
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"retries": -1}, "retries must be at least 0, got -1"),
    ],
)
def test_numbers_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RayEngine(**arguments)


def test_cells_on_a_gpu_have_to_ask_for_one() -> None:
    pytest.importorskip("ray")
    with pytest.raises(ConfigurationError, match=r"toy/ppo/1 runs on 'cuda:0'.*pass --gpus 1"):
        RayEngine().run([toy_cell(0), toy_cell(1, "cuda:0")], pytest.fail, pytest.fail)


def test_an_address_where_nobody_listens_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    with socket.socket() as bound:  # and never listens
        bound.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=f"no Ray cluster answers at '{address}'.*ray start --head"):
            RayEngine(address).run([toy_cell(0)], pytest.fail, pytest.fail)


def test_a_cluster_is_sent_the_code_without_results() -> None:
    own, sent = RayEngine()._runtime_env(), RayEngine("auto", threads=3)._runtime_env()
    assert "py_modules" not in own
    assert own["env_vars"]["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
    assert sent["py_modules"] == [str(ROOT / "benchmarks")]
    assert "/results" in sent["excludes"]
    assert sent["env_vars"]["OMP_NUM_THREADS"] == "3"


def test_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"--engine ray needs the package 'ray'.*lm-envs\[ray\]"):
        RayEngine().run([], pytest.fail, pytest.fail)


def test_a_cell_that_no_machine_can_take_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    small = {"Alive": True, "Resources": {"CPU": 2.0}}
    gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    RayEngine()._check_room([small])
    with pytest.raises(ConfigurationError, match=r"asks for 1 cores and 1 GPUs, and Ray has 2 cores and 0 GPUs"):
        RayEngine(gpus=1)._check_room([small, gone])
    RayEngine("auto", gpus=1)._check_room([small, gone])
    assert "cells wait until one is added to the cluster" in caplog.text
