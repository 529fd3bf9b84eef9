"""What the environments' arguments have in common: checks, render modes, rewards that need a language model."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lm_envs.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from lm_envs.rewards import RewardSum

Config = TypeVar("Config")

RENDER_MODES: tuple[str, ...] = ("human", "ansi", "rgb_array")
RENDER_FPS = 30


GYMNASIUM_ARGUMENTS = ("max_episode_steps", "autoreset_mode", "disable_env_checker", "order_enforce")


def config_of(config_class: type[Config], arguments: Mapping[str, Any]) -> Config:
    """The checked arguments of a batched environment.

    Raises:
        UnknownNameError: There is no such argument.
    """
    known = {entry.name for entry in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    for name in arguments:
        if name not in known:
            remedy = ""
            if name in GYMNASIUM_ARGUMENTS:
                remedy = (
                    "Episodes of the batched environment end by its own arguments, and it resets in the same step; "
                    "Gymnasium's apply with make_vec(..., vectorization_mode='sync')."
                )
            raise UnknownNameError.for_name("argument of the environment", name, known, remedy)
    return config_class(**arguments)


def positive_int(name: str, value: Any) -> int:
    """``value`` as an int that is at least 1.

    Raises:
        ConfigurationError: It is something else; the message names ``name``.
    """
    number = as_int(value)
    if number is None or number < 1:
        raise ConfigurationError(f"{name} must be an integer of at least 1, got {value!r}")
    return number


def as_int(value: Any) -> int | None:
    """``value`` as an int; None if it is no integer."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def checked_options(options: Mapping[str, Any] | None, known: Sequence[str]) -> Mapping[str, Any]:
    """The options of ``reset``; none of them unknown.

    Raises:
        UnknownNameError: One is not in ``known``.
    """
    for name in options or {}:
        check_choice("reset option", name, known)
    return options or {}


def check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    """Raise an UnknownNameError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise UnknownNameError.for_name(argument, value, choices)


def environment_reward(spec: Any, model: str, device: str) -> RewardSum:
    """A reward of an environment; functions that left their language model open get the environment's.

    Args:
        spec: Anything that :func:`lm_envs.rewards.make_reward` takes.
        model: The environment's model.
        device: Where a reward's model runs.
    """
    from lm_envs.rewards import RewardSum, RewardTerm, make_reward

    def bound(function: Any) -> Any:
        bind = getattr(function, "for_environment", None)
        return function if bind is None else bind(model=model, device=device)

    return RewardSum(RewardTerm(term.name, bound(term.function), term.weight) for term in make_reward(spec).terms)
