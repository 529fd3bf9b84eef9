"""What the wrappers of single environments share: an observation is a batch of one row."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from lm_envs.wrappers.rows import Batch, RowObserver, one_row, row_of


class RowObservation(gym.Wrapper[Any, Any, Any, Any]):
    """A single environment whose observations pass through a :class:`RowObserver`.

    Args:
        env: What is wrapped.
        rows: Makes the observations.
    """

    def __init__(self, env: gym.Env[Any, Any], rows: RowObserver) -> None:
        gym.Wrapper.__init__(self, env)
        self._rows = rows
        self.observation_space = rows.observation_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; arguments as in the wrapped environment."""
        obs, info = self.env.reset(seed=seed, options=options)
        return row_of(self._observe(one_row(obs), True), 0), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step of the environment."""
        obs, reward, terminated, truncated, info = self.env.step(self._inner_action(action))
        return row_of(self._observe(one_row(obs), not terminated), 0), reward, terminated, truncated, info

    def _inner_action(self, action: Any) -> Any:
        return action

    def _observe(self, obs: Batch, wanted: bool) -> Any:
        return self._rows.observe(obs, np.array([wanted]))
