"""Comparisons stay on common cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rliable")

from benchmarks.report.analysis import analyse
from benchmarks.report.contents import apart, comparisons, findings, iqm_rows, missing_rows, problems, score_table
from benchmarks.report.grid import read_grid

from .conftest import case, cell, put

Write = Callable[..., Path]


def _scores(case: str, name: str, *values: float) -> dict[tuple[str, str, int], float]:
    return {(case, name, seed): value for seed, value in enumerate(values)}


@pytest.fixture
def folder(write_folder: Write) -> Path:
    """PPO and DQN on ``a``; PPO on ``b`` too, where NLPO is declared and did not end."""
    cases = [case("a", ["ppo", "dqn"], ["untrained", "random"]), case("b", ["ppo", "nlpo"], ["untrained", "oracle"])]
    scores = {
        **_scores("a", "ppo", 1.5, 1.5), **_scores("a", "dqn", 1.25, 1.75), **_scores("a", "untrained", 1.0, 1.0),
        **_scores("a", "random", 0.5, 0.5), **_scores("b", "ppo", 2.0, 2.0), **_scores("b", "untrained", 1.0, 1.0),
        **_scores("b", "oracle", 2.0),
    }  # fmt: skip
    return write_folder(cases, scores)


def test_algorithms_are_compared_on_common_cases_only(folder: Path) -> None:
    analysis = analyse(read_grid(folder))
    assert analysis.algorithms == ["ppo", "dqn"]
    (together,) = analysis.comparisons
    assert together.cases == ["a"]
    assert {name: each.mean for name, each in together.iqm.items()} == {"ppo": 0.5, "dqn": 0.5}
    assert {name: each.mean for name, each in together.baselines.items()} == {"random": -0.5}
    assert analysis.own_cases == {"ppo": ["a", "b"], "dqn": ["a"]}
    assert analysis.pair_cases == {("ppo", "dqn"): 1, ("dqn", "ppo"): 1}
    assert analysis.improvement["ppo", "dqn"].mean == 0.5


def test_those_that_ran_everywhere_are_compared_everywhere(write_folder: Write) -> None:
    cases = [case("a", ["ppo", "a2c", "nlpo"]), case("b", ["ppo", "a2c"])]
    scores = {
        **_scores("a", "ppo", 1.5, 1.5), **_scores("a", "a2c", 1.2, 1.2), **_scores("a", "nlpo", 1.8, 1.8),
        **_scores("b", "ppo", 2.0, 2.0), **_scores("b", "a2c", 1.2, 1.2),
        **_scores("a", "untrained", 1.0, 1.0), **_scores("b", "untrained", 1.0, 1.0),
    }  # fmt: skip
    grid = read_grid(write_folder(cases, scores))
    everywhere, together = analyse(grid).comparisons
    assert (list(everywhere.iqm), everywhere.cases) == (["ppo", "a2c"], ["a", "b"])
    assert (list(together.iqm), together.cases) == (["ppo", "a2c", "nlpo"], ["a"])
    assert everywhere.iqm["ppo"].mean == 0.75 and together.iqm["ppo"].mean == 0.5  # (0.5 + 1) / 2
    assert [row["estimates"][0][:4] for row in iqm_rows(grid, analyse(grid))] == ["0.75", "0.20", "\N{EN DASH}"]
    told = [each["where"] for each in comparisons(grid, analyse(grid))]
    assert told == ["on all cases of the set", f"on all of these cases: {grid.cases['a']['title']}"]


def test_both_directions_of_a_pair_add_up(folder: Path) -> None:
    put(folder, cell(("a", "dqn", 1), 1.4))
    there, back = (analyse(read_grid(folder)).improvement[pair] for pair in (("ppo", "dqn"), ("dqn", "ppo")))
    assert (there.mean, back.mean) == (1.0, 0.0)
    assert (there.low, there.high, back.low, back.high) == (1.0, 1.0, 0.0, 0.0)


def test_efficiency_ends_at_the_last_measurement(folder: Path) -> None:
    (together,) = analyse(read_grid(folder)).comparisons
    assert together.efficiency["ppo"][0][[0, 10, -1]].tolist() == [0.0, 0.25, 0.5]
    assert together.profiles["ppo"][0][0] == 1.0 and together.profiles["ppo"][0][-1] == 0.0


def test_normalised_means_have_normalised_intervals(folder: Path) -> None:
    analysis = analyse(read_grid(folder))
    raw, normalised = analysis.means["a", "dqn"], analysis.normalised["a", "dqn"]
    assert raw.low is not None and normalised.low == pytest.approx(raw.low - 1.0)


def test_nothing_in_common_is_said(write_folder: Write) -> None:
    cases = [case("a", ["ppo"]), case("b", ["dqn"])]
    scores = {**_scores("a", "ppo", 1.5), **_scores("b", "dqn", 1.5), **_scores("a", "untrained", 1.0)}
    grid = read_grid(write_folder(cases, {**scores, **_scores("b", "untrained", 1.0)}))
    analysis = analyse(grid)
    assert analysis.comparisons == [] and analysis.improvement == {}
    assert findings(grid, analysis) == [
        "No case was finished by all algorithms so far: they are compared in pairs only."
    ]


def test_what_is_missing_is_shown_as_missing(folder: Path) -> None:
    grid = read_grid(folder)
    table = score_table(grid, analyse(grid))
    absent = [[cell["absent"] for cell in row["cells"]] for row in table["rows"]]
    assert absent == [["", "", "", "", "", ""], ["", "", "missing", "", "", ""]]
    assert [cell["value"] for cell in table["rows"][1]["cells"]] == ["2.00", "", "", "1.00", "", "2.00"]
    assert table["rows"][1]["cells"][-1]["note"] == "1 of 2 seeds"
    assert [cell["highest"] for cell in table["rows"][1]["cells"]] == [True, "", "", False, "", False]
    rows = missing_rows(grid)
    assert [(row["case"], row["label"], row["seeds"]) for row in rows] == [
        ("Case b", "NLPO", "0 and 1"),
        ("Case b", "oracle", "1"),
    ]
    assert rows[0]["command"] == "python -m benchmarks run --set suite --only 'b/nlpo/*'"


def test_which_cases_are_left_out_is_said(folder: Path) -> None:
    grid = read_grid(folder)
    assert apart(grid, analyse(grid))[1:] == ["DQN is not declared for: Case b.", "NLPO is not declared for: Case a."]
    assert [row["cases"] for row in iqm_rows(grid, analyse(grid))] == [2, 1]


def test_what_is_trained_is_said_where_it_differs(folder: Path) -> None:
    for name, part in (("ppo", "top:2"), ("dqn", "heads")):
        put(folder, cell(("a", name, 0), 1.5, settings={"seed": 0, "train": {"trainable": part}}))
    said = (
        "Algorithms do not train the same part of the model: the last 2 layers by PPO, heads alone by DQN, on: Case a."
    )
    grid = read_grid(folder)
    assert apart(grid, analyse(grid))[1] == said


def test_findings_say_that_intervals_overlap(folder: Path) -> None:
    grid = read_grid(folder)
    absent, highest, close = findings(grid, analyse(grid))
    assert absent.endswith("left out of what follows: NLPO.")
    assert "On the 1 case that PPO and DQN ran on" in highest and "highest for PPO: 0.50" in highest
    assert close == "Its interval overlaps with that of DQN."
    put(folder, cell(("a", "dqn", 0), 1.0))
    put(folder, cell(("a", "dqn", 1), 1.1))
    grid = read_grid(folder)
    assert len(findings(grid, analyse(grid))) == 2


def test_findings_without_intervals_say_so(write_folder: Write) -> None:
    scores = {**_scores("a", "ppo", 1.5), **_scores("a", "dqn", 1.2), **_scores("a", "untrained", 1.0)}
    grid = read_grid(write_folder([case("a", ["ppo", "dqn"])], scores))
    assert findings(grid, analyse(grid))[-1].startswith("A case has a single run, so there is no interval")


def test_a_reader_is_warned(folder: Path) -> None:
    put(folder, cell(("a", "ppo", 7), 2.0))
    put(folder, cell(("a", "ppo", 1), 1.5, fingerprint="1" * 12))
    grid = read_grid(folder)
    told = " ".join(problems(grid))
    assert "2 seeds: the intervals of single cases rest on as many runs" in told
    assert "Left out, because suite.json does not declare them: a/ppo/7." in told
    assert "settings, weights or code have changed since" in told and "replaces them: a/ppo/1." in told
    assert len(grid.of("a", "ppo")) == 1


def test_curves_begin_at_what_the_untrained_policy_scores_on_their_prompts(folder: Path) -> None:
    for seed in (0, 1):
        put(folder, cell(("a", "untrained", seed), 1.0, curve=[{"step": 0, "score": 1.25}]))
        points = [{"step": 0, "score": 1.25}, {"step": 1000, "score": 2.0}]
        put(folder, cell(("a", "ppo", seed), 1.5, curve=points))
    grid = read_grid(folder)
    assert grid.normalised_curves("ppo")["a"][:, [0, -1]].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert grid.normalised_scores("ppo")["a"].tolist() == [0.5, 0.5]


def test_a_curve_without_any_score_is_undefined(folder: Path) -> None:
    put(folder, cell(("a", "ppo", 0), 1.5, curve=[{"step": 0, "score": None}]))
    grid = read_grid(folder)
    assert np.isnan(grid.curves("a", "ppo")[0]).all()
    assert analyse(grid).means["a", "ppo"].mean == 1.5


def test_greedy_algorithms_and_candidates_are_named(folder: Path) -> None:
    train = {"trainable": "all", "env_wrapper": ["lm_envs.wrappers.CandidateActions"]}
    put(folder, cell(("a", "dqn", 0), 1.5, settings={"seed": 0, "train": train}))
    grid = read_grid(folder)
    greedy, candidates, *_ = apart(grid, analyse(grid))
    assert greedy.startswith("Measured greedily, by the action of the highest value: DQN. The other algorithms")
    assert candidates.endswith("likeliest tokens only, where the others choose among all: DQN, on: Case a.")
