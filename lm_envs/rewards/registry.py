"""Names for rewards, so that a command line or a configuration file can ask for them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.rewards.protocol import EXPECTED, RewardFunction

Registered = TypeVar("Registered", bound=Callable[..., Any])

_registered: dict[str, Callable[..., Any]] = {}


def register(name: str, factory: Registered | None = None, *, overwrite: bool = False) -> Any:
    """Register a reward under ``name``, directly or as a decorator.

    A function (or object) that takes ``completions`` is the reward itself. Anything else, for example a
    class, is a factory: :func:`get` calls it with the parameters and expects a reward.

    Args:
        name: The name to register; without a colon, which separates parameters.
        factory: The reward, or what makes it. Left out: returns a decorator.
        overwrite: Allow to replace a reward of that name.

    Returns:
        ``factory``, or the decorator.

    Raises:
        ConfigurationError: The name is not usable, or another reward has it.

    Example:
        >>> @register("shout")
        ... def shout(completions, **columns):
        ...     return [float(text.isupper()) for text in completions]
    """
    if factory is None:
        return functools.partial(register, name, overwrite=overwrite)
    if not isinstance(name, str) or not name or ":" in name:
        raise ConfigurationError(f"a reward's name has to be a string without a colon, got {name!r}.")
    if not callable(factory):
        raise ConfigurationError(f"to register {name!r}, expected {EXPECTED} or a class, got {factory!r}.")
    if name in _registered and not overwrite and not _is_redefinition(_registered[name], factory):
        raise ConfigurationError(
            f"a reward named {name!r} is registered already. Take another name or pass overwrite=True."
        )
    _registered[name] = factory
    return factory


def get(name: str, **params: Any) -> RewardFunction:
    """Make the reward that is registered under ``name``.

    Args:
        name: A name from :func:`names`.
        **params: The reward's parameters, for example ``target=20`` for ``"length"``.

    Raises:
        UnknownNameError: Nothing is registered under ``name``.
        ConfigurationError: A parameter is unknown, missing or has an impossible value.
        MissingDependencyError: The reward needs a package that is not installed.
    """
    factory = registered(name)
    _check_parameters(name, factory, params)
    if _is_reward(factory):
        return functools.partial(factory, **params) if params else factory
    reward = factory(**params)
    if not callable(reward):
        raise ConfigurationError(
            f"what is registered as the reward {name!r} returned {reward!r}; expected a reward. If it is "
            f"itself the reward, name its parameters as in {EXPECTED}."
        )
    return reward


def names() -> list[str]:
    """All registered names in alphabetical order."""
    return sorted(_registered)


def registered(name: str) -> Callable[..., Any]:
    """What is registered under ``name``: a reward, or what makes one; its docstring tells about it.

    Raises:
        UnknownNameError: Nothing is registered under ``name``.
    """
    if name not in _registered:
        remedy = "Register your own with lm_envs.rewards.register, or pass the function itself."
        raise UnknownNameError.for_name("reward", name, _registered, remedy)
    return _registered[name]


def parameters(name: str) -> list[inspect.Parameter]:
    """The parameters of the reward that is registered under ``name``, in order.

    Raises:
        UnknownNameError: Nothing is registered under ``name``.
    """
    factory = registered(name)
    signature = list(inspect.signature(factory).parameters.values())
    texts = ("prompts", "completions") if _is_reward(factory) else ()
    return [parameter for parameter in signature if parameter.name not in texts]


def _is_reward(factory: Callable[..., Any]) -> bool:
    """Whether ``factory`` is a reward itself and not what makes one."""
    return not inspect.isclass(factory) and "completions" in inspect.signature(factory).parameters


def _is_redefinition(old: Any, new: Any) -> bool:
    """Whether ``new`` is ``old`` defined again, as happens when a notebook's cell runs twice."""
    return (type(old), old.__module__, getattr(old, "__qualname__", None)) == (
        type(new),
        new.__module__,
        getattr(new, "__qualname__", ""),
    )


def _check_parameters(name: str, factory: Callable[..., Any], params: dict[str, Any]) -> None:
    signature = parameters(name)
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature):
        known = [p.name for p in signature]
        for param in params:
            if param not in known:
                error = UnknownNameError.for_name(f"parameter of the reward {name!r}", param, known)
                raise ConfigurationError(str(error))
    if not _is_reward(factory):
        missing = [p.name for p in signature if _is_required(p) and p.name not in params]
        if missing:
            example = ", ".join(f"{p}=..." for p in missing)
            raise ConfigurationError(
                f"the reward {name!r} needs {example}. Write rewards.get({name!r}, {example}) or '{name}:{example}'."
            )


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic
