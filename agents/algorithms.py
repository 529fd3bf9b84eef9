"""The Stable-Baselines3 algorithms that the command line trains with, by name; nothing is imported until asked for."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import TYPE_CHECKING, Any

from lm_envs.errors import MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

ALGORITHMS: dict[str, tuple[str, str]] = {
    "ppo": ("stable_baselines3", "PPO"),
    "a2c": ("stable_baselines3", "A2C"),
}
"""name -> (module, class). The classes are the libraries' own, unchanged."""

# What the command line sets by itself, or what has no meaning for token policies.
_NOT_HYPERPARAMETERS = (
    "self policy env rollout_buffer_class rollout_buffer_kwargs policy_kwargs seed device verbose tensorboard_log "
    "stats_window_size use_sde sde_sample_freq _init_setup_model"
).split()
_NOT_POLICY_KWARGS = (
    "self observation_space action_space lr_schedule use_sde model trainable dtype optimizer_class"
).split()


def check_algorithm(name: str) -> None:
    """Check that ``name`` is known and its package installed, without importing it.

    Raises:
        UnknownNameError: There is no such algorithm.
        MissingDependencyError: Its package is not installed.
    """
    if name not in ALGORITHMS:
        raise UnknownNameError.for_name("algorithm", name, ALGORITHMS)
    module = ALGORITHMS[name][0]
    if importlib.util.find_spec(module) is None:
        raise MissingDependencyError.for_package(module, "contrib", f"the algorithm {name!r}")


def algorithm_class(name: str) -> type[OnPolicyAlgorithm]:
    """Return the algorithm's class; raises like :func:`check_algorithm`."""
    check_algorithm(name)
    module, attribute = ALGORITHMS[name]
    return getattr(importlib.import_module(module), attribute)


def split_hyperparameters(name: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the algorithm's arguments from the policy's.

    Args:
        name: The algorithm's name.
        values: Arguments of the algorithm's class and of :class:`~agents.LMActorCriticPolicy`, mixed.

    Returns:
        The algorithm's arguments, the policy's arguments.

    Raises:
        UnknownNameError: Neither has such an argument, or it has an option of its own.
    """
    from agents.policies import LMActorCriticPolicy

    known_to_algorithm = _arguments(algorithm_class(name), _NOT_HYPERPARAMETERS)
    known_to_policy = _arguments(LMActorCriticPolicy, _NOT_POLICY_KWARGS)
    for key in values:
        if key not in known_to_algorithm | known_to_policy:
            kind = f"hyperparameter of {name} and its policy"
            raise UnknownNameError.for_name(kind, key, known_to_algorithm | known_to_policy)
    algorithm = {key: value for key, value in values.items() if key in known_to_algorithm}
    return algorithm, {key: value for key, value in values.items() if key not in known_to_algorithm}


def _arguments(owner: type, excluded: list[str]) -> set[str]:
    return set(inspect.signature(owner.__init__).parameters) - set(excluded)  # type: ignore[misc]
