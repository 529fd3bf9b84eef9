"""The bridge from Gymnasium's vector environments to Stable-Baselines3's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

import lm_envs  # noqa: F401 - registers the environments
from lm_envs.errors import ConfigurationError


def make_lm_vec_env(
    env_id: str = "TextGen-v0",
    n_envs: int = 1,
    seed: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    monitor_dir: str | None = None,
) -> VecMonitor:
    """Build a natively batched environment for Stable-Baselines3, the counterpart of SB3's ``make_vec_env``.

    Args:
        env_id: A registered id, for example ``"TextGen-v0"``.
        n_envs: Number of environments.
        seed: Seed of the first reset; environment i gets ``seed + i``.
        env_kwargs: Keyword arguments of the environment.
        monitor_dir: Where to write SB3's monitor file; None for nowhere.

    Returns:
        The environment, monitored: ``info["episode"]`` holds return and length of episodes that ended.

    Raises:
        ConfigurationError: If ``n_envs`` is below 1.
    """
    if n_envs < 1:
        raise ConfigurationError(f"n_envs must be at least 1; got {n_envs}.")
    envs = gym.make_vec(env_id, num_envs=n_envs, vectorization_mode="vector_entry_point", **(env_kwargs or {}))
    venv = GymnasiumVecEnv(envs)
    if seed is not None:
        venv.seed(seed)
    return VecMonitor(venv, filename=monitor_dir)


class GymnasiumVecEnv(VecEnv):
    """A Gymnasium vector environment, spoken to as an SB3 ``VecEnv``.

    Args:
        envs: A vector environment that resets in the same step in which an episode ends.

    Raises:
        ConfigurationError: If ``envs`` resets in another way.
    """

    def __init__(self, envs: VectorEnv) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ConfigurationError(
                f"expected a vector environment with autoreset_mode SAME_STEP, as SB3 resets; got {mode}. "
                "Build it with gym.make_vec(..., vector_kwargs=dict(autoreset_mode=AutoresetMode.SAME_STEP))."
            )
        self.envs = envs
        self._actions: np.ndarray = np.empty(0)
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> Any:
        """Start an episode in every environment, with the seeds and options set before."""
        seeds = list(self._seeds) if any(seed is not None for seed in self._seeds) else None
        options = next((option for option in self._options if option), None)
        obs, infos = self.envs.reset(seed=seeds, options=options)  # type: ignore[arg-type]
        self.reset_infos = _rows(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments; the infos of an episode's last step carry its ``terminal_observation``."""
        obs, rewards, terminated, truncated, infos = self.envs.step(self._actions)
        dones = terminated | truncated
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if dones.any():
            final_rows = _rows(infos.get("final_info", {}), self.num_envs)
            for i in np.flatnonzero(dones):
                rows[i] = final_rows[i]
                rows[i]["terminal_observation"] = infos["final_obs"][i]
                rows[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return obs, rewards.astype(np.float32), dones, rows

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The vector environment's attribute, once per index: all rows share it."""
        owner = self.envs if hasattr(self.envs, attr_name) else self.envs.unwrapped
        value = getattr(owner, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment, for all rows together."""
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ConfigurationError("the rows of a batched environment share their attributes; leave indices=None")
        setattr(self.envs.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the vector environment once and give each row its part of the result."""
        result = getattr(self.envs.unwrapped, method_name)(*args, **kwargs)
        per_row = isinstance(result, Sequence | np.ndarray) and len(result) == self.num_envs
        return [result[i] if per_row else result for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Whether each row is wrapped: rows of a batched environment have no wrappers of their own."""
        return [False for _ in self._get_indices(indices)]


def _rows(infos: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """Turn a vector environment's infos, a dict of arrays with masks, into one dict per row."""
    rows: list[dict[str, Any]] = [{} for _ in range(n)]
    for key, values in infos.items():
        mask = infos.get(f"_{key}")
        if key.startswith("_") or mask is None:
            continue
        nested: Any = _rows(values, n) if isinstance(values, dict) else values
        for i in np.flatnonzero(mask):
            rows[i][key] = nested[i].item() if isinstance(nested[i], np.generic) else nested[i]
    return rows
