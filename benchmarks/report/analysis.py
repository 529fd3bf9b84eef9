"""All statistics of a report, computed once for the page, the Markdown and the README."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.evaluation.estimates import Estimate
from benchmarks.report.grid import SHARES, UNTRAINED, Grid, common_cases
from benchmarks.report.statistics import (
    interquartile_curve,
    interquartile_mean,
    means,
    performance_profile,
    probability_of_improvement,
)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """How some algorithms compare, all on the same cases.

    Attributes:
        cases: The comparable cases on which each of them has a finished cell; one at least.
        iqm: Interquartile mean of the normalised score of each algorithm.
        baselines: The same of each baseline that was measured on all of the cases.
        thresholds: Normalised scores ``(n,)`` of the profiles.
        profiles: Value, low and high end ``(3, n)`` of each algorithm's performance profile.
        efficiency: The same of the interquartile mean at :data:`~benchmarks.report.grid.SHARES` of the budget.
    """

    cases: list[str]
    iqm: dict[str, Estimate]
    baselines: dict[str, Estimate]
    thresholds: Array
    profiles: dict[str, Array]
    efficiency: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a grid says.

    Attributes:
        algorithms: Those with a finished cell on a comparable case.
        comparisons: Of those that have a cell on every case, where they are two at least; and of all algorithms on the
            cases that they have in common, where there are some. The one with more cases is the first.
        own_cases: The comparable cases of each algorithm.
        improvement: How probable it is that the first of two algorithms beats the second, on the cases of both.
        pair_cases: How many cases these are.
        means: Mean score over seeds, in the unit of the case, by case and algorithm or baseline.
        normalised: The same as normalised scores, of comparable cases.
        curves: Value, low and high end of the mean over seeds at the shares of the budget, by case and algorithm.
    """

    algorithms: list[str]
    comparisons: list[Comparison]
    own_cases: dict[str, list[str]]
    improvement: dict[tuple[str, str], Estimate]
    pair_cases: dict[tuple[str, str], int]
    means: dict[tuple[str, str], Estimate]
    normalised: dict[tuple[str, str], Estimate]
    curves: dict[tuple[str, str], Array]


def analyse(grid: Grid) -> Analysis:
    """Compute everything.

    Raises:
        MissingDependencyError: rliable is not installed.
    """
    scores = {name: found for name in grid.algorithms if (found := grid.normalised_scores(name))}
    found_means = _means(grid)
    improvement, pair_cases = _improvement(scores)
    return Analysis(
        algorithms=list(scores),
        comparisons=_comparisons(grid, scores),
        own_cases={name: list(found) for name, found in scores.items()},
        improvement=improvement,
        pair_cases=pair_cases,
        means=found_means,
        normalised=_normalised(grid, found_means),
        curves=_curves(grid),
    )


def _comparisons(grid: Grid, scores: dict[str, dict[str, Array]]) -> list[Comparison]:
    n_cases = len({case for found in scores.values() for case in found})
    everywhere = {name: found for name, found in scores.items() if len(found) == n_cases}
    groups = [everywhere, scores] if 2 <= len(everywhere) < len(scores) else [scores]
    shared = [(group, common_cases(group.values())) for group in groups]
    return [_compared(grid, group, cases) for group, cases in shared if cases]


def _compared(grid: Grid, scores: dict[str, dict[str, Array]], cases: list[str]) -> Comparison:
    shared = {name: {case: found[case] for case in cases} for name, found in scores.items()}
    curves = {name: grid.normalised_curves(name) for name in scores}
    thresholds = _thresholds(shared)
    return Comparison(
        cases=cases,
        iqm={name: interquartile_mean(found) for name, found in shared.items()},
        baselines=_baselines(grid, cases),
        thresholds=thresholds,
        profiles={name: performance_profile(found, thresholds) for name, found in shared.items()},
        efficiency={name: interquartile_curve({case: curves[name][case] for case in cases}) for name in scores},
    )


def _baselines(grid: Grid, cases: list[str]) -> dict[str, Estimate]:
    found = {name: grid.normalised_scores(name) for name in grid.baselines if name != UNTRAINED}
    whole = {name: scores for name, scores in found.items() if all(case in scores for case in cases)}
    return {name: interquartile_mean({case: scores[case] for case in cases}) for name, scores in whole.items()}


def _thresholds(scores: dict[str, dict[str, Array]]) -> Array:
    """From the lowest score, to the next tenth below, to 1."""
    lowest = min(values.min() for found in scores.values() for values in found.values())
    return np.linspace(min(0.0, float(np.floor(10 * lowest) / 10)), 1.0, 61)


def _improvement(
    scores: dict[str, dict[str, Array]],
) -> tuple[dict[tuple[str, str], Estimate], dict[tuple[str, str], int]]:
    """Both directions of each pair from one estimate: what is not a win, with ties as halves, is a loss."""
    found: dict[tuple[str, str], Estimate] = {}
    counts: dict[tuple[str, str], int] = {}
    for one, other in itertools.combinations(scores, 2):
        cases = common_cases([scores[one], scores[other]])
        if cases:
            sides = ({case: scores[name][case] for case in cases} for name in (one, other))
            found[one, other] = probability_of_improvement(*sides)
            found[other, one] = _reverse(found[one, other])
            counts[one, other] = counts[other, one] = len(cases)
    return found, counts


def _reverse(estimate: Estimate) -> Estimate:
    if estimate.low is None or estimate.high is None:
        return Estimate(1 - estimate.mean)
    return Estimate(1 - estimate.mean, 1 - estimate.high, 1 - estimate.low)


def _means(grid: Grid) -> dict[tuple[str, str], Estimate]:
    names = [*grid.algorithms, *grid.baselines]
    columns = {(case, name): grid.scores(case, name) for case in grid.cases for name in names}
    return means({key: values for key, values in columns.items() if len(values)})


def _normalised(grid: Grid, found: dict[tuple[str, str], Estimate]) -> dict[tuple[str, str], Estimate]:
    comparable = set(grid.comparable())

    def scaled(case: str, value: float | None) -> float | None:
        return None if value is None else float(grid.normalised(case, np.array(value)))

    return {
        (case, name): Estimate(*(scaled(case, end) for end in (each.mean, each.low, each.high)))  # type: ignore[arg-type]
        for (case, name), each in found.items()
        if case in comparable
    }


def _curves(grid: Grid) -> dict[tuple[str, str], Array]:
    """Means over seeds of all curves at once: each point is a column of its own."""
    whole = {(case, name): grid.curves(case, name) for case in grid.cases for name in grid.algorithms}
    whole = {key: values for key, values in whole.items() if len(values)}
    columns = {(*key, i): values[:, i] for key, values in whole.items() for i in range(len(SHARES))}
    found = means(columns)
    return {key: np.array([_row(found[(*key, i)]) for i in range(len(SHARES))]).T for key in whole}


def _row(estimate: Estimate) -> tuple[float, float, float]:
    nan = float("nan")
    return estimate.mean, *(nan if end is None else end for end in (estimate.low, estimate.high))  # type: ignore[return-value]
