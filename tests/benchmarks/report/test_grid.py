"""Reading a folder: normalisation, common cases, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report.grid import SHARES, common_cases, read_grid
from lm_envs.errors import DataError

from .conftest import case, cell, put

Write = Callable[..., Path]


def test_scores_are_normalised_by_the_mean_of_the_pretrained_model(write_folder: Write) -> None:
    scores = {("a", "ppo", 0): 1.5, ("a", "ppo", 1): 0.5, ("a", "untrained", 0): 0.8, ("a", "untrained", 1): 1.2}
    grid = read_grid(write_folder([case("a", ["ppo"])], scores))
    assert grid.untrained("a") == 1.0
    np.testing.assert_allclose(grid.normalised_scores("ppo")["a"], [0.5, -0.5])  # the best is 2
    np.testing.assert_allclose(grid.normalised_scores("untrained")["a"], [-0.2, 0.2])


def test_cases_without_a_start_or_without_room_are_not_comparable(write_folder: Write) -> None:
    cases = [case("a", ["ppo"]), case("unknown", ["ppo"]), case("perfect", ["ppo"])]
    scores = {(name, "ppo", 0): 1.0 for name in ("a", "unknown", "perfect")}
    grid = read_grid(write_folder(cases, {**scores, ("a", "untrained", 0): 1.0, ("perfect", "untrained", 0): 2.0}))
    assert grid.comparable() == ["a"]
    assert list(grid.normalised_scores("ppo")) == ["a"]


def test_missing_cells_are_named_and_never_filled_in(write_folder: Write) -> None:
    cases = [case("a", ["ppo", "dqn"])]
    grid = read_grid(write_folder(cases, {("a", "ppo", 1): 1.0, ("a", "untrained", 0): 1.0}))
    assert grid.missing() == {("a", "ppo"): [0], ("a", "dqn"): [0, 1], ("a", "untrained"): [1]}
    assert grid.scores("a", "ppo").tolist() == [1.0] and grid.scores("a", "dqn").tolist() == []


def test_cells_that_are_not_declared_or_not_defined_do_not_count(write_folder: Write) -> None:
    scores = {("a", "ppo", 0): 1.0, ("a", "ppo", 1): None, ("a", "ppo", 9): 3.0, ("a", "dqn", 0): 3.0}
    grid = read_grid(write_folder([case("a", ["ppo"])], {**scores, ("a", "untrained", 0): 1.0}))
    assert set(grid.strangers) == {"a/ppo/9", "a/dqn/0"}
    assert grid.undefined == ("a/ppo/1",)
    assert grid.missing()["a", "ppo"] == [1]
    assert grid.scores("a", "ppo").tolist() == [1.0]


def test_curves_are_read_at_shares_of_the_steps(write_folder: Write) -> None:
    folder = write_folder([case("a", ["ppo"], steps=100)], {("a", "untrained", 0): 1.0})
    points = [(0, 0.0), (50, 1.0), (70, None), (104, 2.0)]  # the last rollout went beyond
    put(folder, cell(("a", "ppo", 0), 2.0, curve=[{"step": step, "score": score} for step, score in points]))
    curve = read_grid(folder).curves("a", "ppo")
    assert curve.shape == (1, len(SHARES))
    np.testing.assert_allclose(curve[0], np.where(SHARES < 0.5, 2 * SHARES, 1 + 2 * (SHARES - 0.5)))


def test_cells_of_other_settings_count_as_missing(write_folder: Write) -> None:
    folder = write_folder([case("a", ["ppo"])], {("a", "ppo", 0): 1.0, ("a", "untrained", 0): 1.0})
    put(folder, cell(("a", "ppo", 1), 1.0))
    assert read_grid(folder).stale == ()
    put(folder, cell(("a", "ppo", 1), 1.0, fingerprint="1" * 12))
    grid = read_grid(folder)
    assert grid.stale == ("a/ppo/1",) and grid.missing()["a", "ppo"] == [1]


def test_common_cases() -> None:
    assert common_cases([["a", "b", "c"], ["c", "a"], ["c", "d", "a"]]) == ["a", "c"]
    assert common_cases([["a"], ["b"]]) == []
    assert common_cases([]) == []


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no suite.json, so it is no folder of results"):
        read_grid(tmp_path)


def test_a_folder_without_finished_cells(write_folder: Write) -> None:
    with pytest.raises(DataError, match="has no finished cell, so there is nothing to report. Go on with: python -m"):
        read_grid(write_folder([case("a", ["ppo"])], {}))


def test_no_untrained_baseline(write_folder: Write) -> None:
    folder = write_folder([case("a", ["ppo"])], {("a", "ppo", 0): 1.0})
    with pytest.raises(DataError, match=r"no finished cell of the baseline 'untrained'.*--only '\*/untrained/\*'"):
        read_grid(folder)


def test_a_damaged_cell(write_folder: Write) -> None:
    folder = write_folder([case("a", ["ppo"])], {("a", "untrained", 0): 1.0})
    file = put(folder, cell(("a", "ppo", 0), 1.0))
    file.write_text(file.read_text()[:-20])
    with pytest.raises(DataError, match="ppo-0.json' cannot be read: .* Delete it; 'run' makes it anew"):
        read_grid(folder)
    file.write_text(json.dumps({"case": "a"}))
    with pytest.raises(DataError, match="ppo-0.json' is damaged: 'algorithm' is missing"):
        read_grid(folder)
