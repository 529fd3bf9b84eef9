"""The bridge from Gymnasium's vector environments to Stable-Baselines3's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

import lm_envs  # noqa: F401 - registers the environments
from lm_envs.environment_arguments import as_int, positive_int
from lm_envs.errors import ConfigurationError


def make_lm_vec_env(
    env_id: str = "TextGen-v0",
    n_envs: int = 1,
    seed: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    monitor_dir: str | None = None,
    wrapper_class: Callable[..., VectorEnv] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> VecMonitor:
    """Build a natively batched environment for Stable-Baselines3, the counterpart of SB3's ``make_vec_env``.

    Args:
        env_id: A registered id, for example ``"TextGen-v0"``.
        n_envs: Number of environments.
        seed: Seed of the first reset; environment i gets ``seed + i``.
        env_kwargs: Keyword arguments of the environment.
        monitor_dir: Where to write SB3's monitor file; None for nowhere.
        wrapper_class: Called with the Gymnasium ``VectorEnv``, returns it wrapped; for several wrappers, a
            function that applies one after the other.
        wrapper_kwargs: Keyword arguments of ``wrapper_class``.

    Returns:
        The environment, monitored: ``info["episode"]`` holds return and length of episodes that ended.

    Raises:
        ConfigurationError: If ``n_envs`` is below 1, ``seed`` is no integer, or ``wrapper_class`` is for single
            environments or returns no ``VectorEnv``.
        UnknownNameError: If the environment has no such argument.
    """
    n_envs = positive_int("n_envs", n_envs)
    if seed is not None and as_int(seed) is None:
        raise ConfigurationError(f"seed must be an integer or None; got {seed!r}.")
    if _is_for_single_environments(wrapper_class):
        raise _not_vectorised(wrapper_class.__name__)  # type: ignore[union-attr]
    envs = gym.make_vec(env_id, num_envs=n_envs, vectorization_mode="vector_entry_point", **(env_kwargs or {}))
    if wrapper_class is not None:
        envs = wrapper_class(envs, **(wrapper_kwargs or {}))
    venv = GymnasiumVecEnv(envs)
    if seed is not None:
        venv.seed(seed)
    return VecMonitor(venv, filename=monitor_dir)


class GymnasiumVecEnv(VecEnv):
    """A Gymnasium vector environment, spoken to as an SB3 ``VecEnv``.

    Args:
        envs: A vector environment that resets in the same step in which an episode ends.

    Raises:
        ConfigurationError: If ``envs`` is no vector environment, or resets in another way.
    """

    def __init__(self, envs: VectorEnv) -> None:
        if not isinstance(envs, VectorEnv):
            raise _not_vectorised(type(envs).__name__)
        mode = envs.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ConfigurationError(
                f"expected a vector environment with autoreset_mode SAME_STEP, as SB3 resets; got {mode}. "
                "Build it with gym.make_vec(..., vectorization_mode='sync', "
                "vector_kwargs=dict(autoreset_mode=AutoresetMode.SAME_STEP)); for environments that have nothing to do "
                "with language models SB3 has make_vec_env."
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
        running = {key: value for key, value in infos.items() if not key.lstrip("_").startswith("final_")}
        rows = _rows(running, self.num_envs)
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
        """An attribute of the outermost wrapper that has it, once per index; else of each single environment."""
        name = f"single_{attr_name}" if attr_name in ("observation_space", "action_space") else attr_name
        rows = list(self._get_indices(indices))
        if self._is_of_single_environments(name):
            values = self.envs.unwrapped.get_attr(name)  # type: ignore[attr-defined]
            return [values[i] for i in rows]
        value = getattr(self._owner(name), name)
        return [value for _ in rows]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the outermost wrapper that has it, else of the environment, for all rows together."""
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ConfigurationError("the rows of a batched environment share their attributes; leave indices=None")
        setattr(self._owner(attr_name), attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the outermost wrapper that has it, once, and give each row its part of the result.

        Where only single environments have it, that of each is called.
        """
        if self._is_of_single_environments(method_name):
            results = self.envs.unwrapped.call(method_name, *args, **kwargs)  # type: ignore[attr-defined]
            return [results[i] for i in self._get_indices(indices)]
        result = getattr(self._owner(method_name), method_name)(*args, **kwargs)
        is_batch = isinstance(result, Sequence | np.ndarray) and not isinstance(result, str | bytes)
        per_row = is_batch and len(result) == self.num_envs
        return [result[i] if per_row else result for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Whether the vector environment is inside of such a wrapper, once per index: all rows share it."""
        is_wrapped = any(isinstance(layer, wrapper_class) for layer in self._layers()[:-1])
        return [is_wrapped for _ in self._get_indices(indices)]

    def _is_of_single_environments(self, name: str) -> bool:
        """Whether no layer has the attribute ``name``, and below all are environments one by one."""
        return isinstance(self.envs.unwrapped, SyncVectorEnv | AsyncVectorEnv) and not hasattr(self._owner(name), name)

    def _layers(self) -> list[VectorEnv]:
        """The wrappers from the outermost on, then the environment."""
        layers = [self.envs]
        while isinstance(layers[-1], VectorWrapper):
            layers.append(layers[-1].env)
        return layers

    def _owner(self, name: str) -> VectorEnv:
        """The outermost layer that has the attribute ``name``; the environment if none has."""
        return next((layer for layer in self._layers() if hasattr(layer, name)), self.envs.unwrapped)


def _is_for_single_environments(wrapper_class: Any) -> bool:
    """Whether it is a wrapper of Gymnasium's kind that does not become one for vector environments when it is made."""
    is_wrapper = inspect.isclass(wrapper_class) and issubclass(wrapper_class, gym.Wrapper)
    return is_wrapper and wrapper_class.__new__ is gym.Wrapper.__new__


def _not_vectorised(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"expected a gymnasium.vector.VectorEnv, got {name}. A wrapper has to be one for vector environments, as in "
        "gymnasium.wrappers.vector, and to return the environment."
    )


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
