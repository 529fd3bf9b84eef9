"""Statistics against numbers by hand, and against rliable's own, slower functions."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rliable")
from rliable import library, metrics

from benchmarks.report.statistics import (
    interquartile_curve,
    interquartile_mean,
    means,
    performance_profile,
    probability_of_improvement,
)


def test_the_interquartile_mean_of_known_numbers() -> None:
    found = interquartile_mean({"a": np.array([0.0, 1.0, 2.0, 3.0]), "b": np.array([10.0, 20.0, 30.0, 40.0])})
    assert found.mean == (2 + 3 + 10 + 20) / 4  # without two of eight at each end
    assert found.low is not None and found.high is not None and found.low < found.mean < found.high


def test_cases_with_other_numbers_of_runs_count_by_their_runs() -> None:
    found = interquartile_mean({"a": np.array([0.0, 1.0, 2.0, 3.0, 4.0]), "b": np.array([10.0, 20.0, 30.0])})
    assert found.mean == (2 + 3 + 4 + 10) / 4


def test_it_is_rliables() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 7))
    columns = {str(i): scores[:, i] for i in range(7)}
    assert interquartile_mean(columns).mean == pytest.approx(metrics.aggregate_iqm(scores))
    curves = np.random.default_rng(1).normal(size=(5, 7, 3))
    expected = [metrics.aggregate_iqm(curves[..., i]) for i in range(3)]
    found = interquartile_curve({str(i): curves[:, i] for i in range(7)})
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found[0], expected)


def test_profiles_are_rliables() -> None:
    scores, thresholds = np.random.default_rng(0).normal(size=(5, 4)), np.linspace(-1, 1, 9)
    found = performance_profile({str(i): scores[:, i] for i in range(4)}, thresholds)
    np.testing.assert_allclose(found[0], library.score_distributions(scores, thresholds))
    assert (found[1] <= found[0]).all() and (found[0] <= found[2]).all()


def test_a_profile_by_hand() -> None:
    scores = {"a": np.array([0.0, 0.5]), "b": np.array([0.5, 1.0])}
    found = performance_profile(scores, np.array([-1.0, 0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(found[0], [1.0, 0.75, 0.25, 0.0])


def test_the_probability_of_improvement_by_hand() -> None:
    first = {"a": np.array([1.0, 3.0]), "b": np.array([5.0, 5.0, 5.0])}
    second = {"a": np.array([0.0, 2.0]), "b": np.array([5.0, 6.0])}
    assert probability_of_improvement(first, second).mean == (3 / 4 + (3 * 0.5) / 6) / 2


def test_the_probability_of_improvement_is_rliables() -> None:
    x, y = np.random.default_rng(0).integers(0, 4, size=(2, 5, 6)).astype(float)
    found = probability_of_improvement({str(i): x[:, i] for i in range(6)}, {str(i): y[:, i] for i in range(6)})
    assert found.mean == pytest.approx(metrics.probability_of_improvement(x, y))


def test_means_keep_their_order_and_give_known_intervals() -> None:
    found = means({"long": np.array([1.0, 2.0, 3.0, 4.0]), "flat": np.array([2.0, 2.0]), "one": np.array([7.0])})
    assert list(found) == ["long", "flat", "one"]
    assert found["long"].mean == 2.5
    assert found["long"].low is not None and 1.0 <= found["long"].low < 2.5
    assert (found["flat"].low, found["flat"].high) == (2.0, 2.0)


def test_one_run_gives_no_interval() -> None:
    scores = {"a": np.array([1.0, 2.0]), "b": np.array([3.0])}
    assert interquartile_mean(scores).to_dict() == {"mean": 2.0, "low": None, "high": None}
    curve = interquartile_curve({"a": np.array([[1.0, 2.0]])})
    assert curve[0].tolist() == [1.0, 2.0] and np.isnan(curve[1:]).all()


def test_resamples_stay_within_cases() -> None:
    """Runs of a case that do not differ cannot make an interval, however cases differ."""
    found = interquartile_mean({"a": np.array([0.0, 0.0]), "b": np.array([1.0, 1.0]), "c": np.array([2.0, 2.0])})
    assert (found.low, found.mean, found.high) == (1.0, 1.0, 1.0)


def test_the_same_numbers_every_time_and_no_trace_in_numpys_generator() -> None:
    scores = {"a": np.random.default_rng(0).normal(size=9)}
    np.random.seed(5)
    first = interquartile_mean(scores)
    drawn = np.random.random()
    assert interquartile_mean(scores) == first
    np.random.seed(5)
    assert np.random.random() == drawn
