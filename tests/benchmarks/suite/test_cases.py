"""What stands in suite.yml resolves to training runs, and a fingerprint follows what decides numbers."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.recipes.algorithms import ALGORITHMS
from benchmarks.suite import cases
from benchmarks.suite.cases import BenchmarkSet, Cell, Measuring, chosen, load_set
from lm_envs.errors import ConfigurationError, UnknownNameError

SETS = ("suite", "quick", "smollm2")
TOY: dict[str, Any] = {
    "sets": {"toy": {"seeds": [0, 1]}},
    "cases": {
        "labels": {
            "env_id": "Tagging-v0",
            "score": "entity_f1",
            "best": 1.0,
            "steps": 32,
            "algorithms": ["ppo"],
            "baselines": ["random", "supervised"],
        }
    },
}


@pytest.mark.parametrize("name", SETS)
def test_every_cell_of_every_set_resolves(name: str) -> None:
    benchmark = load_set(name)
    cells = benchmark.cells()
    assert len({cell.name for cell in cells}) == len(cells)
    assert len({cell.fingerprint for cell in cells}) == len(cells)
    for cell in cells:
        if cell.kind == "learned":
            config = cell.train_config()
            assert (config.algorithm, config.seed, config.threads) == (cell.algorithm, cell.seed, 1)
            assert (config.steps, config.device) == (cell.case.steps, benchmark.measuring.device)


@pytest.mark.parametrize("name", SETS)
def test_algorithms_of_a_case_are_paid_and_measured_alike(name: str) -> None:
    benchmark = load_set(name)
    for case in benchmark.cases:
        configs = [Cell(case, algorithm, 0, benchmark.measuring).train_config() for algorithm in case.algorithms]
        for config in configs:
            assert (config.reward, config.task, config.dataset) == (case.reward, case.task, case.dataset)
            assert config.evaluation_kwargs() == configs[0].evaluation_kwargs()


def test_the_published_set_has_all_algorithms_that_an_action_space_allows() -> None:
    benchmark = load_set("suite")
    assert len(benchmark.seeds) >= 5
    assert {case.env_id for case in benchmark.cases} == {"TextGen-v0", "Dialogue-v0", "QA-v0", "Tagging-v0"}
    for case in benchmark.cases:
        writes = case.env_id != "Tagging-v0" and case.env_kwargs.get("actions", "tokens") == "tokens"
        assert set(case.algorithms) == set(cases.ALGORITHMS) - (set() if writes else {"nlpo"})
        assert {"untrained", "random", "best_of_n", "supervised"} <= set(case.baselines)


def test_algorithms_are_the_recipes() -> None:
    assert set(cases.ALGORITHMS) <= set(ALGORITHMS)


def fingerprints(content: dict[str, Any], folder: Path) -> dict[str, str]:
    file = folder / "suite.yml"
    file.write_text(yaml.safe_dump(content))
    return {cell.name: cell.fingerprint for cell in load_set("toy", file).cells()}


def changed(change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> dict[str, Any]:
    content = copy.deepcopy(TOY)
    change(content["sets"]["toy"], content["cases"]["labels"])
    return content


@pytest.mark.parametrize(
    "change",
    [
        lambda toy, case: case.update(steps=64),
        lambda toy, case: case.update(algorithms={"ppo": {"hyperparameters": {"gamma": 0.5}}}),
        lambda toy, case: case.update(reward="token_accuracy"),
        lambda toy, case: case.update(env_kwargs={"max_words": 16}),
        lambda toy, case: case.update(score="token_accuracy"),
        lambda toy, case: toy.update(eval_prompts=8),
        lambda toy, case: toy.update(curve_points=3),
        lambda toy, case: toy.update(device="cuda"),
    ],
    ids=["steps", "hyperparameters", "reward", "env_kwargs", "score", "eval_prompts", "curve_points", "device"],
)
def test_what_decides_numbers_changes_the_fingerprint(change: Any, tmp_path: Path) -> None:
    before, after = fingerprints(TOY, tmp_path), fingerprints(changed(change), tmp_path)
    assert before["labels/ppo/0"] != after["labels/ppo/0"]
    assert before["labels/supervised/0"] != after["labels/supervised/0"]


@pytest.mark.parametrize(
    "change",
    [
        lambda toy, case: case.update(title="Another title"),
        lambda toy, case: case.update(best=2.0),
        lambda toy, case: case.update(baselines=["supervised", "random", "oracle"]),
        lambda toy, case: case["algorithms"].append("a2c"),
        lambda toy, case: toy.update(seeds=[1, 0, 5]),
    ],
    ids=["title", "best", "baselines", "algorithms", "seeds"],
)
def test_what_decides_nothing_leaves_the_fingerprint(change: Any, tmp_path: Path) -> None:
    before, after = fingerprints(TOY, tmp_path), fingerprints(changed(change), tmp_path)
    assert {name: after[name] for name in before} == before


def test_fingerprints_follow_the_weights_and_the_code(
    toy: BenchmarkSet, lm_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = toy.cells()[0]
    other = dataclasses.replace(cell, measuring=Measuring(model=lm_folder))
    found = [cell.fingerprint, other.fingerprint]
    monkeypatch.setitem(cases.FORMATS, cell.kind, 99)
    assert len({*found, dataclasses.replace(cell).fingerprint}) == 3


def test_a_set_s_name_decides_nothing_but_the_command(toy: BenchmarkSet) -> None:
    cell = toy.cells()[0]
    other = dataclasses.replace(cell, set_name="another")
    assert other.fingerprint == cell.fingerprint
    assert other.command == f"python -m benchmarks run --set another --only {cell.name}"


def test_cells_travel_to_other_processes(toy: BenchmarkSet) -> None:
    for cell in toy.cells():
        copied = pickle.loads(pickle.dumps(cell))
        assert copied == cell
        assert copied.fingerprint == cell.fingerprint


def test_patterns_choose_cells(toy: BenchmarkSet) -> None:
    assert [cell.name for cell in chosen(toy.cells(), ["*/random/*"])] == ["labels/random/0", "labels/random/1"]
    assert [cell.name for cell in chosen(toy.cells(), ["labels/ppo/1"])] == ["labels/ppo/1"]
    assert chosen(toy.cells(), []) == toy.cells()
    with pytest.raises(UnknownNameError, match=r"no cell fits the pattern 'lables/\*'.*cases labels"):
        chosen(toy.cells(), ["*/ppo/*", "lables/*"])


def test_a_set_replaces_settings_of_its_cases(tmp_path: Path) -> None:
    content = changed(lambda toy, case: toy.update(cases={"labels": {"steps": 8}}, algorithms=["ppo"]))
    file = tmp_path / "suite.yml"
    file.write_text(yaml.safe_dump(content))
    assert [case.steps for case in load_set("toy", file).cases] == [8]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda toy, case: toy.update(cases=["lables"]), UnknownNameError, "case of the set 'toy' 'lables'.*'labels'"),
        (lambda toy, case: toy.update(sedes=[0]), UnknownNameError, "setting of the set 'toy' 'sedes'"),
        (lambda toy, case: toy.update(seeds=[0, 0]), ConfigurationError, "seeds of the set 'toy' must be different"),
        (lambda toy, case: toy.update(seeds=[]), ConfigurationError, "seeds of the set 'toy' must be different"),
        (lambda toy, case: case.update(stesp=1), UnknownNameError, "setting of the case 'labels' 'stesp'.*'steps'"),
        (lambda toy, case: case.pop("score"), ConfigurationError, "setting of the case 'labels' 'score' is missing"),
        (lambda toy, case: case.update(algorithms=["pop"]), UnknownNameError, "algorithm of the case.*'pop'.*'ppo'"),
        (lambda toy, case: case.update(baselines=["best"]), UnknownNameError, "baseline of the case 'labels' 'best'"),
        (lambda toy, case: case.update(algorithms=None), ConfigurationError, "algorithms of the case 'labels' must be"),
    ],
)
def test_what_cannot_work_is_named(change: Any, error: type[Exception], match: str, tmp_path: Path) -> None:
    file = tmp_path / "suite.yml"
    file.write_text(yaml.safe_dump(changed(change)))
    with pytest.raises(error, match=match):
        load_set("toy", file)


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "suite.yml"
    with pytest.raises(ConfigurationError, match="cannot read the suite"):
        load_set("toy", file)
    file.write_text("a: [")
    with pytest.raises(ConfigurationError, match="is no YAML file"):
        load_set("toy", file)
    file.write_text("- a")
    with pytest.raises(ConfigurationError, match="must be a mapping of names to values"):
        load_set("toy", file)
    with pytest.raises(UnknownNameError, match="unknown set 'quik'.*'quick'"):
        load_set("quik")
