from __future__ import annotations

import numpy as np
import pytest

from agents.evaluation.estimates import (
    N_RESAMPLES,
    CorpusMetric,
    Estimate,
    bootstrap,
    differences,
    estimates,
    mean_of,
    ratio,
)


def _f1(sums: np.ndarray) -> np.ndarray:
    return 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])


def test_a_corpus_metric_is_computed_anew_from_each_resample() -> None:
    statistics = np.array([[1, 2, 2], [0, 1, 3], [4, 5, 4], [0, 0, 1]], dtype=np.float64)
    found = estimates({"f1": CorpusMetric(statistics, _f1)}, seed=3)["f1"]
    assert found.mean == pytest.approx(2 * 5 / 18) != pytest.approx(np.mean([0.5, 0.0, 8 / 9, 0.0]))
    draws = np.random.default_rng(3).integers(4, size=(N_RESAMPLES, 4))
    slowly = [_f1(statistics[rows].sum(axis=0)) for rows in draws]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slowly, [0.025, 0.975])))


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    found = [bootstrap(rng.normal(1.0, 2.0, size=60), seed=i) for i in range(200)]
    assert 0.89 <= np.mean([e.low <= 1.0 <= e.high for e in found]) <= 0.99  # type: ignore[operator]


@pytest.mark.parametrize("values", [[3.0, 3.0], [0.1] * 7, [0.7], [0.0] * 5])
def test_where_all_episodes_are_alike_the_interval_has_no_width(values: list[float]) -> None:
    assert bootstrap(values) == Estimate(pytest.approx(values[0]), bootstrap(values).mean, bootstrap(values).mean)


def test_episodes_without_the_metric_do_not_count() -> None:
    assert mean_of([1.0, None, 0.0, None]).value == 0.5
    found = bootstrap([1.0, None, None])  # type: ignore[list-item]
    assert found.mean == found.low == found.high == 1.0  # some resamples have none, and are left out
    assert np.isnan(ratio(np.array([0.0, 0.0])))


def test_many_episodes_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(50)
    whole = bootstrap(values, seed=1)
    monkeypatch.setattr("agents.evaluation.estimates._AT_ONCE", 7 * 50)
    parts = bootstrap(values, seed=1)
    assert parts.mean == whole.mean and parts.low == pytest.approx(whole.low, abs=0.02)


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0.0, 10.0, size=100)  # how hard each prompt is, for both
    before, after = {"x": mean_of(hard), "y": mean_of(hard)}, {"x": mean_of(hard + 1 + rng.normal(0, 0.1, 100))}
    found = differences(before, after)
    assert list(found) == ["x"]
    assert found["x"].mean == pytest.approx(1.0, abs=0.05)
    assert found["x"].low > 0.9 and found["x"].high < 1.1  # type: ignore[operator]
    assert estimates(after)["x"].high - estimates(after)["x"].low > 3  # type: ignore[operator]


def test_no_difference_has_no_width() -> None:
    same = {"x": mean_of([0.1, 0.1, 0.1])}
    assert differences(same, same)["x"] == Estimate(0.0, 0.0, 0.0)
    assert differences({}, same) == {} and estimates({}) == {}
