"""From settings to an algorithm with its environments, new or out of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch as th

from agents.recipes.algorithms import (
    ALGORITHMS,
    algorithm_class,
    has_language_model,
    policy_class,
    split_hyperparameters,
)
from agents.recipes.env_wrappers import import_path
from agents.recipes.schedules import with_schedules
from agents.recipes.train_config import TrainConfig
from agents.training_runs.checkpoints import load_replay_buffer
from agents.vec_env import make_lm_vec_env
from lm_envs.errors import ConfigurationError, LMEnvsError


def build_model(config: TrainConfig) -> Any:
    """Make environments and algorithm; everything that can be wrong with a configuration shows here.

    Raises:
        ConfigurationError: The algorithm or the device refuses a value.
        LMEnvsError: Environment or model cannot be made.
    """
    policy = policy_class(config.algorithm, config.policy)
    algorithm, policy_kwargs = split_hyperparameters(config.algorithm, policy, config.hyperparameters)
    arguments = _objects(algorithm)
    if has_language_model(policy):
        policy_kwargs |= {"model": config.model, "trainable": config.trainable, "dtype": config.dtype}
        if (buffer := ALGORITHMS[config.algorithm].rollout_buffer) is not None:
            arguments["rollout_buffer_class"] = import_path(buffer, "the rollout buffer")
    _prepare_torch(config)
    venv = _environments(config)
    try:
        return algorithm_class(config.algorithm)(
            policy,
            venv,
            policy_kwargs=policy_kwargs,
            seed=config.seed,
            device=config.device,
            **arguments,
        )
    except LMEnvsError:
        raise
    except (TypeError, ValueError, AssertionError) as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(f"{config.algorithm} refuses its hyperparameters {algorithm}: {reason}") from error


def _objects(algorithm: Mapping[str, Any]) -> dict[str, Any]:
    """An algorithm's arguments out of JSON: with schedules, tuples and classes."""
    arguments = with_schedules(algorithm)
    if isinstance(arguments.get("train_freq"), list):
        arguments["train_freq"] = tuple(arguments["train_freq"])
    if isinstance(arguments.get("replay_buffer_class"), str):
        arguments["replay_buffer_class"] = import_path(arguments["replay_buffer_class"], "the replay buffer")
    return arguments


def load_model(config: TrainConfig, checkpoint: Path) -> Any:
    """Load a checkpoint with new environments, and the replay buffer that is in it."""
    _prepare_torch(config)
    venv = _environments(config)
    model: Any = algorithm_class(config.algorithm).load(checkpoint, env=venv, device=config.device)
    model.action_space = venv.action_space  # a saved copy of a wrapper's space no longer sees the environment
    load_replay_buffer(model, checkpoint)
    return model


def _environments(config: TrainConfig) -> Any:
    return make_lm_vec_env(
        config.env_id,
        config.n_envs,
        seed=config.seed,
        env_kwargs=config.environment_kwargs(),
        wrapper_class=config.wrapper(),
    )


def _prepare_torch(config: TrainConfig) -> None:
    if config.threads is not None:
        th.set_num_threads(config.threads)
    if config.device == "auto":
        return
    try:
        th.zeros(1, device=config.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"no such device: {config.device!r} ({reason}). Use 'auto', 'cpu' or 'cuda'."
        ) from error
