"""Single observations as batches of one row, and rows of batches as single observations."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Batch = dict[str, npt.NDArray[Any]]  # an observation of all rows


class RowObserver(Protocol):
    """What turns the observations of all rows into others."""

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Of one row."""

    def observe(self, obs: Batch, wanted: BoolArray) -> Any:
        """New observations of all rows; only those of ``wanted`` ``(n_rows,)`` need the language model."""


def one_row(obs: dict[str, Any]) -> Batch:
    """A single environment's observation as a batch of one."""
    return {name: np.asarray(value)[None] for name, value in obs.items()}


def row_of(batch: Any, row: int) -> Any:
    """One row of a batch, dict or array, as fresh arrays."""
    if isinstance(batch, dict):
        return {name: values[row].copy() for name, values in batch.items()}
    return batch[row].copy()
