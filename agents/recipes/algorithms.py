"""The algorithms that the command line trains with, by name; nothing is imported until asked for."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.recipes.env_wrappers import import_path
from lm_envs.errors import MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


class Algorithm(NamedTuple):
    """Where an algorithm is; its class is the library's own, unchanged.

    Attributes:
        module: The package.
        name: The class.
        rollout_buffer: Import path of the buffer for language model policies; None for off-policy algorithms, whose
            recipes name their replay buffer.
        note: What makes it another algorithm than the class alone.
    """

    module: str
    name: str
    rollout_buffer: str | None = None
    note: str = ""

    @property
    def on_policy(self) -> bool:
        """Whether it learns from rollouts of its present policy."""
        return self.rollout_buffer is not None


ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm("stable_baselines3", "PPO", "agents.SequenceRolloutBuffer"),
    "nlpo": Algorithm("stable_baselines3", "PPO", "agents.SequenceRolloutBuffer", "draws from a lagged copy's nucleus"),
    "grpo": Algorithm("stable_baselines3", "PPO", "agents.GRPORolloutBuffer", "compares episodes of one prompt"),
    "rloo": Algorithm("stable_baselines3", "PPO", "agents.RLOORolloutBuffer", "leaves each one out of its baseline"),
    "a2c": Algorithm("stable_baselines3", "A2C", "agents.SequenceRolloutBuffer"),
    "trpo": Algorithm("sb3_contrib", "TRPO", "agents.SequenceRolloutBuffer"),
    "maskable_ppo": Algorithm("sb3_contrib", "MaskablePPO", "agents.MaskableSequenceRolloutBuffer"),
    "dqn": Algorithm("stable_baselines3", "DQN"),
    "qrdqn": Algorithm("sb3_contrib", "QRDQN"),
}

# What the command line sets by itself, or what has no meaning for token policies.
_NOT_HYPERPARAMETERS = (
    "self policy env rollout_buffer_class policy_kwargs seed device verbose tensorboard_log "
    "stats_window_size use_sde sde_sample_freq _init_setup_model"
).split()
_NOT_POLICY_KWARGS = "self observation_space action_space lr_schedule use_sde model optimizer_class".split()
_LANGUAGE_MODEL_SETTINGS = ("trainable", "dtype")  # settings of the run, for policies that have them


def check_algorithm(name: str) -> None:
    """Check that ``name`` is known and its package installed, without importing it.

    Raises:
        UnknownNameError: There is no such algorithm.
        MissingDependencyError: Its package is not installed.
    """
    if name not in ALGORITHMS:
        raise UnknownNameError.for_name("algorithm", name, ALGORITHMS)
    module = ALGORITHMS[name].module
    if importlib.util.find_spec(module) is None:
        raise MissingDependencyError.for_package(module, "contrib", f"the algorithm {name!r}")


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """Return the algorithm's class; raises like :func:`check_algorithm`."""
    check_algorithm(name)
    return getattr(importlib.import_module(ALGORITHMS[name].module), ALGORITHMS[name].name)


def policy_class(algorithm: str, policy: str) -> type[Any]:
    """Return the class of a policy.

    Args:
        algorithm: The algorithm's name.
        policy: An import path, or a name that the algorithm knows, such as ``"MlpPolicy"``.

    Raises:
        ConfigurationError: There is nothing at the import path.
        UnknownNameError: The algorithm knows no policy of that name.
    """
    if "." in policy:
        return import_path(policy, "the policy")
    known = algorithm_class(algorithm).policy_aliases
    if policy not in known:
        raise UnknownNameError.for_name(f"policy of {algorithm}", policy, known)
    return known[policy]


def has_language_model(policy: type[Any]) -> bool:
    """Whether a policy takes the name of a language model, which parts of it are trained, and its precision."""
    return {"model", *_LANGUAGE_MODEL_SETTINGS} <= set(inspect.signature(policy.__init__).parameters)


def split_hyperparameters(
    name: str, policy: type[Any], values: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the algorithm's arguments from the policy's.

    Args:
        name: The algorithm's name.
        policy: The policy's class.
        values: Arguments of both, mixed.

    Returns:
        The algorithm's arguments, the policy's arguments.

    Raises:
        UnknownNameError: Neither has such an argument, or it has an option of its own.
    """
    known_to_algorithm = _arguments(algorithm_class(name), _NOT_HYPERPARAMETERS)
    settings = _LANGUAGE_MODEL_SETTINGS if has_language_model(policy) else ()
    known_to_policy = _arguments(policy, [*_NOT_POLICY_KWARGS, *settings])
    for key in values:
        if key not in known_to_algorithm | known_to_policy:
            kind = f"hyperparameter of {name} and its policy {policy.__name__}"
            raise UnknownNameError.for_name(kind, key, known_to_algorithm | known_to_policy)
    algorithm = {key: value for key, value in values.items() if key in known_to_algorithm}
    return algorithm, {key: value for key, value in values.items() if key not in known_to_algorithm}


def _arguments(owner: type, excluded: list[str]) -> set[str]:
    return set(inspect.signature(owner.__init__).parameters) - set(excluded)  # type: ignore[misc]
