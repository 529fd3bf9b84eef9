"""Aggregates with intervals in the manner of Agarwal et al. 2021, by ``rliable``.

Runs are drawn with replacement within each case (a stratified bootstrap), so intervals say how much would change with
other seeds on the same cases. Cases may have different numbers of runs. Where a case has a single run there is nothing
to draw from, and no interval is given. The draws are seeded: the same scores give the same intervals to the last bit.

What is computed of each draw is written out here: rliable's own functions give the same numbers, in up to a hundred
times the time, most of which SciPy takes for checks and p-values.

References:
    Agarwal et al. 2021, https://arxiv.org/abs/2108.13264
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from agents.evaluation.estimates import Estimate
from lm_envs.errors import MissingDependencyError

Array = npt.NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

N_RESAMPLES = 2_000
SEED = 0


def interquartile_mean(scores: Mapping[str, Array]) -> Estimate:
    """The mean of the middle half of all runs of all cases, with its 95% interval.

    Args:
        scores: Normalised scores ``(n_seeds,)`` of each case.
    """
    return _estimates(_bootstrapped(_blocks(list(scores.values())), _iqm))[0]


def interquartile_curve(curves: Mapping[str, Array]) -> Array:
    """The interquartile mean at every point of curves, with 95% intervals of each.

    Args:
        curves: Normalised scores ``(n_seeds, n_points)`` of each case.

    Returns:
        Value, low and high end ``(3, n_points)``; NaN for ends that cannot be known.
    """
    return _bootstrapped(_blocks(list(curves.values())), _iqm)


def performance_profile(scores: Mapping[str, Array], thresholds: Array) -> Array:
    """The share of runs whose normalised score is above each threshold, with 95% intervals.

    Args:
        scores: Normalised scores ``(n_seeds,)`` of each case.
        thresholds: ``(n_thresholds,)``.

    Returns:
        Value, low and high end ``(3, n_thresholds)``; NaN for ends that cannot be known.
    """

    def profile(*blocks: Array) -> Array:
        return (_pooled(blocks)[:, None] > thresholds).mean(axis=0)

    return _bootstrapped(_blocks(list(scores.values())), profile)


def probability_of_improvement(first: Mapping[str, Array], second: Mapping[str, Array]) -> Estimate:
    """How probable it is that a run of the first beats one of the second on a case that is drawn at random.

    A tie counts half.

    Args:
        first: Scores ``(n_seeds,)`` of each case.
        second: The same of what it is compared with, for the same cases.
    """
    groups: dict[tuple[int, int], list[str]] = {}
    for case in first:
        groups.setdefault((len(first[case]), len(second[case])), []).append(case)
    sides = [np.stack([side[case] for case in group], 1) for side in (first, second) for group in groups.values()]
    return _estimates(_bootstrapped(sides, _share_of_wins))[0]


def means(columns: Mapping[Key, Array]) -> dict[Key, Estimate]:
    """Means over seeds with 95% intervals, each column resampled on its own.

    Args:
        columns: Values ``(n_seeds,)``, by anything; the numbers of seeds may differ.
    """
    found: dict[Key, Estimate] = {}
    for n in sorted({len(column) for column in columns.values()}):
        keys = [key for key, column in columns.items() if len(column) == n]
        block = np.stack([columns[key] for key in keys], axis=1)
        found |= zip(keys, _estimates(_bootstrapped([block], lambda drawn: drawn.mean(axis=0))), strict=True)
    return {key: found[key] for key in columns}


def _bootstrapped(blocks: Sequence[Array], function: Callable[..., Any]) -> Array:
    """A function's values with the ends of their 95% percentile intervals.

    Args:
        blocks: Runs of cases with as many runs each, ``(n_seeds, n_cases, ...)``.
        function: Of the blocks, or of resampled ones; gives ``(n,)``.

    Returns:
        Value, low and high end ``(3, n)``.
    """
    if min(len(block) for block in blocks) < 2:
        value = np.asarray(function(*blocks), np.float64)
        return np.stack([value, np.full_like(value, np.nan), np.full_like(value, np.nan)])
    with _numpy_seeded():
        values, ends = _rliable().get_interval_estimates({"": list(blocks)}, function, reps=N_RESAMPLES)
    return np.concatenate([np.asarray(values[""], np.float64)[None], ends[""]])


@contextlib.contextmanager
def _numpy_seeded() -> Iterator[None]:
    """Seed NumPy's global generator for a while: rliable draws from it, whatever it is given (release 1.2)."""
    state = np.random.get_state()
    np.random.seed(SEED)
    try:
        yield
    finally:
        np.random.set_state(state)


def _blocks(columns: Sequence[Array]) -> list[Array]:
    """Cases with as many runs side by side: ``(n_seeds, n_cases, ...)`` for each number of runs."""
    lengths = sorted({len(column) for column in columns})
    return [np.stack([column for column in columns if len(column) == n], axis=1) for n in lengths]


def _pooled(blocks: Sequence[Array]) -> Array:
    """All runs of all cases ``(n_runs, ...)``."""
    return np.concatenate([block.reshape(-1, *block.shape[2:]) for block in blocks])


def _iqm(*blocks: Array) -> Array:
    """As ``rliable.metrics.aggregate_iqm``, at every point: a quarter of the runs is cut off at each end."""
    runs = np.sort(_pooled(blocks), axis=0)
    cut = len(runs) // 4
    return np.atleast_1d(runs[cut : len(runs) - cut].mean(axis=0))


def _share_of_wins(*blocks: Array) -> Array:
    """As ``rliable.metrics.probability_of_improvement``."""
    half = len(blocks) // 2
    pairs = zip(blocks[:half], blocks[half:], strict=True)
    wins = [_compared(x[:, None], y[None]).mean(axis=(0, 1)) for x, y in pairs]
    return np.concatenate(wins).mean(keepdims=True)


def _compared(x: Array, y: Array) -> Array:
    return (x > y) + 0.5 * (x == y)


def _estimates(found: Array) -> list[Estimate]:
    """From value, low and high end ``(3, n)``."""
    return [
        Estimate(float(value)) if np.isnan(low) else Estimate(float(value), float(low), float(high))
        for value, low, high in found.T
    ]


def _rliable() -> Any:
    try:
        from rliable import library
    except ImportError as error:
        raise MissingDependencyError.for_package("rliable", "benchmarks", "the report's statistics") from error
    return library
