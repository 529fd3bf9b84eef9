"""A limit that all processes find exceeded, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class AgreedThreshold(float):
    """A number that compares with the mean of what the processes measured.

    PPO stops an epoch where ``approx_kl_div > 1.5 * self.target_kl``. With this as ``target_kl`` the comparison is
    one of the mean over all processes, so that they stop together.

    Args:
        value: The number.
        mean: Gives the mean over the processes of a measured number; all of them call it at the same time.
    """

    __array_ufunc__ = None  # so that NumPy leaves ``array > threshold`` to this class

    def __new__(cls, value: float, mean: Callable[[float], float]) -> AgreedThreshold:
        """Make one; ``float`` takes its value here."""
        self = super().__new__(cls, value)
        self._mean = mean
        return self

    _mean: Callable[[float], float]

    def __rmul__(self, factor: Any) -> AgreedThreshold:
        return AgreedThreshold(float(factor) * float(self), self._mean)

    def __lt__(self, measured: Any) -> bool:
        return self._mean(float(measured)) > float(self)
