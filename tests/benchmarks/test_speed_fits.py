from __future__ import annotations

import pytest

from benchmarks.speed_fits import fit_growth


def test_a_line_is_found() -> None:
    lengths = [48, 96, 192, 2048]
    fit = fit_growth(lengths, [3e-4 + 1e-6 * length for length in lengths])
    assert fit["constant"] == pytest.approx(3e-4)
    assert fit["slope"] == pytest.approx(1e-6)
    assert fit["crossing"] == pytest.approx(300)
    assert fit["error"] < 1e-9
    assert 0 < fit["exponent"] < 1


def test_a_power_is_found() -> None:
    fit = fit_growth([1, 4, 16], [2.0, 4.0, 8.0])
    assert fit["exponent"] == pytest.approx(0.5)
    assert fit["error"] > 0.1


def test_a_cost_that_falls_has_no_crossing() -> None:
    fit = fit_growth([1, 2, 4], [4.0, 2.0, 1.0])
    assert fit["exponent"] == pytest.approx(-1)
    assert fit["slope"] == 0 and fit["crossing"] is None


def test_one_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two sizes, got .48."):
        fit_growth([48, 48], [1.0, 2.0])
