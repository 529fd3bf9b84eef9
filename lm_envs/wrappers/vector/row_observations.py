"""What the vector wrappers share: observations replaced row by row, those of episodes that ended among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from lm_envs.wrappers.rows import Batch, BoolArray, RowObserver, row_of


class RowObservations(VectorWrapper[Any, Any, Any, Any, Any]):
    """A vector environment whose observations pass through a :class:`RowObserver`.

    Args:
        env: What is wrapped.
        rows: Makes the observations.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], rows: RowObserver) -> None:
        super().__init__(env)
        self._rows = rows
        self.single_observation_space = rows.observation_space
        self.observation_space = batch_space(rows.observation_space, env.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every row; arguments as in the wrapped environment."""
        obs, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._observe(obs, np.ones(self.num_envs, dtype=np.bool_)), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step of every row; also ``infos["final_obs"]`` belongs to this wrapper's observation space."""
        obs, rewards, terminations, truncations, infos = self.env.step(self._inner_actions(actions))
        goes_on = ~terminations
        if self.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP:
            if "final_obs" in infos:  # before the new observations, which the cache has to know in the next step
                infos = {**infos, "final_obs": self._final_observations(obs, infos["final_obs"], goes_on)}
            goes_on = np.ones(self.num_envs, dtype=np.bool_)
        return self._observe(obs, goes_on), rewards, terminations, truncations, infos

    def _inner_actions(self, actions: Any) -> Any:
        return actions

    def _observe(self, obs: Batch, wanted: BoolArray) -> Any:
        return self._rows.observe(obs, wanted)

    def _final_observations(
        self, obs: Batch, finals: npt.NDArray[np.object_], goes_on: BoolArray
    ) -> npt.NDArray[np.object_]:
        """The last observations of the episodes that ended; objects ``(num_envs,)``, None in the other rows."""
        ended = np.array([final is not None for final in finals])
        batch = {name: values.copy() for name, values in obs.items()}
        for row in np.flatnonzero(ended):
            for name, value in finals[row].items():
                batch[name][row] = value
        observed = self._rows.observe(batch, ended & goes_on)
        rewritten = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(ended):
            rewritten[row] = row_of(observed, int(row))
        return rewritten
