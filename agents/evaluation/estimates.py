"""Metrics of many episodes together, and how sure they are: one bootstrap for all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)

N_RESAMPLES = 2_000
_AT_ONCE = 2**21  # numbers drawn at once


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval; ``low`` and ``high`` are None where resampling would not be sound.

    Attributes:
        mean: The value.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """As JSON values."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True, eq=False)
class CorpusMetric:
    """A metric of all episodes together that follows from sums over them: a mean, a corpus F1, BLEU.

    Attributes:
        statistics: What each episode adds, ``(n_episodes, k)``.
        combine: The metric of sums of statistics, ``(..., k)`` to ``(...)``; NaN where it is not defined.
    """

    statistics: Array
    combine: Callable[[Array], Array]

    @property
    def value(self) -> float:
        """The metric of all episodes."""
        return float(self.combine(self.statistics.sum(axis=0)))


def mean_of(values: Sequence[float | None] | Array) -> CorpusMetric:
    """The mean over episodes, without those that have None.

    Args:
        values: ``(n_episodes,)``, at least one a number.
    """
    there = np.array([value is not None for value in values])
    numbers = np.array([0.0 if value is None else float(value) for value in values])
    return CorpusMetric(np.stack([numbers, there], axis=1), ratio)


def ratio(sums: Array) -> Array:
    """The first sum divided by the second ``(..., 2)``; NaN where that is 0."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def estimates(metrics: Mapping[Name, CorpusMetric], seed: int = 0) -> dict[Name, Estimate]:
    """All metrics with 95% percentile bootstrap intervals (Efron 1979, https://doi.org/10.1214/aos/1176344552).

    Episodes are drawn, and each metric is computed anew from the sums over those that were drawn.

    Args:
        metrics: By name; all of the same episodes.
        seed: Seed of the resampling.
    """
    sums = _resampled(metrics, seed)
    return {name: _estimate(item.value, item.combine(sums[name]), [item]) for name, item in metrics.items()}


def differences(
    before: Mapping[Name, CorpusMetric], after: Mapping[Name, CorpusMetric], seed: int = 0
) -> dict[Name, Estimate]:
    """How much higher the metrics ``after`` are, with 95% intervals by a paired bootstrap.

    Each resample draws the same episodes on both sides, so that easy and hard ones cancel out (Koehn 2004,
    https://aclanthology.org/W04-3250).

    Args:
        before: By name.
        after: Of episodes that began like those of ``before``, in the same order.
        seed: Seed of the resampling.

    Returns:
        The differences of the metrics that both sides have.
    """
    shared = [name for name in after if name in before]
    sums = _resampled(
        {(side, name): found[name] for name in shared for side, found in enumerate((before, after))}, seed
    )
    return {
        name: _estimate(
            after[name].value - before[name].value,
            after[name].combine(sums[1, name]) - before[name].combine(sums[0, name]),
            [before[name], after[name]],
        )
        for name in shared
    }


def bootstrap(values: Sequence[float] | Array, seed: int = 0) -> Estimate:
    """Mean and 95% interval of one number for each episode, as :func:`estimates` has them.

    Args:
        values: ``(n_episodes,)``.
        seed: Seed of the resampling.
    """
    return estimates({"mean": mean_of(values)}, seed)["mean"]


def _resampled(metrics: Mapping[Any, CorpusMetric], seed: int) -> dict[Any, Array]:
    """The sums of each metric's statistics over resampled episodes, ``(N_RESAMPLES, k)``; the same draws for all."""
    if not metrics:
        return {}
    statistics = np.concatenate([item.statistics for item in metrics.values()], axis=1, dtype=np.float64)
    sums = _resampled_sums(statistics, np.random.default_rng(seed))
    ends = np.cumsum([item.statistics.shape[1] for item in metrics.values()])
    return dict(zip(metrics, np.split(sums, ends[:-1], axis=1), strict=True))


def _resampled_sums(statistics: Array, rng: np.random.Generator) -> Array:
    """``(N_RESAMPLES, k)`` sums of ``n`` of the rows ``(n, k)``, drawn with replacement."""
    n = len(statistics)
    sums = np.empty((N_RESAMPLES, statistics.shape[1]))
    rows = max(1, _AT_ONCE // n)
    for start in range(0, N_RESAMPLES, rows):
        size = min(rows, N_RESAMPLES - start)
        draws = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(draws.ravel(), minlength=size * n).reshape(size, n)
        sums[start : start + size] = counts.astype(np.float64) @ statistics
    return sums


def _estimate(value: float, resampled: Array, metrics: Sequence[CorpusMetric]) -> Estimate:
    """The interval has no width, not even by rounding, where all episodes are alike."""
    if all((item.statistics == item.statistics[0]).all() for item in metrics):
        return Estimate(value, value, value)
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
