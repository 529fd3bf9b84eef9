"""How the cost of a token grows: a line and a power law, by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def fit_growth(sizes: Sequence[float], seconds: Sequence[float]) -> dict[str, Any]:
    """Fit the cost of a token against a size in two ways.

    ``constant + slope * size`` says where the part that grows overtakes the part that does not (``crossing``, their
    quotient). Its squares are taken of relative errors, so that a cheap point counts as much as a dear one; neither
    part may be negative. ``exponent`` is that of ``seconds = c * size ** exponent``, a line through the logarithms: 0
    is a cost that does not grow, 1 one that grows as the size does.

    Args:
        sizes: Such as sequence lengths, in tokens; at least two different ones.
        seconds: Of a token at each of them.

    Returns:
        ``constant`` (seconds), ``slope`` (seconds for each unit of size), ``crossing`` (a size, None where nothing
        grows), ``exponent``, and ``error``, the greatest relative error of the line.

    Raises:
        ValueError: Fewer than two sizes.
    """
    x, y = np.asarray(sizes, dtype=float), np.asarray(seconds, dtype=float)
    if len(np.unique(x)) < 2:
        raise ValueError(f"a growth is fitted to at least two sizes, got {sorted(set(sizes))}")
    constant, slope = _not_negative(np.column_stack([1 / y, x / y]))
    exponent = np.polyfit(np.log(x), np.log(y), 1)[0]
    error = np.abs((constant + slope * x) / y - 1).max()
    return {
        "constant": float(constant),
        "slope": float(slope),
        "crossing": float(constant / slope) if slope else None,
        "exponent": float(exponent),
        "error": float(error),
    }


def _not_negative(columns: np.ndarray) -> tuple[float, float]:
    """The two factors of at least 0 with which the columns ``(n, 2)`` add up to 1 as nearly as they can."""
    ones = np.ones(len(columns))
    both = np.linalg.lstsq(columns, ones, rcond=None)[0]
    if both.min() >= 0:
        return float(both[0]), float(both[1])
    alone = [max(0.0, float(column @ ones / (column @ column))) for column in columns.T]
    misses = [np.square(factor * column - 1).sum() for factor, column in zip(alone, columns.T, strict=True)]
    return (alone[0], 0.0) if misses[0] <= misses[1] else (0.0, alone[1])
