"""How a reward is called: which arguments it takes, what it is called, and when it is paid."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import ConfigurationError

RewardFunction = Callable[..., Any]
"""``reward(prompts: list[str], completions: list[str], **columns) -> list[float]``, plain or ``async``."""

Texts = Sequence[str | None]
"""Completions; None, like an empty text, is a completion without content."""

EXPECTED = "reward(prompts: list[str], completions: list[str], **columns) -> list[float]"

_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class CallStyle:
    """Which arguments a reward function takes, looked up once so that calls need no inspection.

    Attributes:
        by_position: The first two parameters are prompts and completions under other names.
        accepted: The keywords that the function takes, or None if it takes any (``**columns``).
        required: Data columns without which the function cannot be called.
    """

    by_position: bool = False
    accepted: tuple[str, ...] | None = None
    required: tuple[str, ...] = ()

    def call(self, function: RewardFunction, arguments: Mapping[str, Any]) -> Any:
        """Call ``function`` with those of ``arguments`` (prompts, completions, columns) that it takes."""
        if self.by_position:
            rest = {k: v for k, v in arguments.items() if k not in ("prompts", "completions")}
            return function(arguments["prompts"], arguments["completions"], **self._select(rest))
        return function(**self._select(arguments))

    def _select(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.accepted is None:
            return arguments
        return {name: arguments[name] for name in self.accepted if name in arguments}


def call_style(function: RewardFunction) -> CallStyle:
    """Find out how to call ``function``.

    The usual way, TRL's, is by keyword: ``function(prompts=..., completions=..., **columns)``. A function
    without ``**columns`` gets the columns that it names. A function whose first two parameters have other
    names (``lambda p, c: ...``) gets prompts and completions by position.

    Raises:
        ConfigurationError: ``function`` cannot take completions.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some callables written in C have no signature
        return CallStyle(required=_declared_columns(function))
    any_keyword = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    positional = [p for p in parameters if p.kind in _BY_POSITION]
    keywords = [p for p in parameters if p.kind in _BY_KEYWORD]
    by_position = _takes_positions(parameters, positional, any_keyword)
    if by_position:
        leading = {p.name for p in positional[:2]}
        keywords = [p for p in keywords if p.name not in leading]
    elif not any_keyword and "completions" not in {p.name for p in keywords}:
        raise ConfigurationError(
            f"the reward {reward_name(function)!r} cannot be called: expected {EXPECTED}, got the parameters "
            f"{inspect.signature(function)}. Add a parameter `completions` and, for the rest, `**columns`."
        )
    texts = ("prompts", "completions")
    needed = [p.name for p in keywords if p.default is inspect.Parameter.empty and p.name not in texts]
    return CallStyle(
        by_position=by_position,
        accepted=None if any_keyword else tuple(p.name for p in keywords),
        required=(*_declared_columns(function), *needed),
    )


def _takes_positions(
    parameters: list[inspect.Parameter], positional: list[inspect.Parameter], any_keyword: bool
) -> bool:
    """Whether prompts and completions have to be given by position."""
    if {"prompts", "completions"} & {p.name for p in parameters if p.kind in _BY_KEYWORD}:
        return False
    variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    return len(positional) >= 2 or (variadic and not any_keyword)


def _declared_columns(function: RewardFunction) -> tuple[str, ...]:
    """The columns that a reward says it needs, in its attribute ``required_columns``."""
    return tuple(_attribute(function, "required_columns", ()))


def reward_name(function: RewardFunction) -> str:
    """The name of ``function`` in logs and in ``info["reward_terms"]``: its ``__name__`` or its class's."""
    name = str(_attribute(function, "__name__", type(function).__name__))
    return "lambda" if name == "<lambda>" else name


def is_per_step(function: RewardFunction) -> bool:
    """Whether ``function`` is a step reward: it has an attribute ``per_step`` that is true."""
    return bool(_attribute(function, "per_step", False))


def is_per_turn(function: RewardFunction) -> bool:
    """Whether ``function`` is paid after each turn of a conversation: its attribute ``per_turn`` is true.

    Where there are no turns, it is paid at the episode's end.
    """
    return bool(_attribute(function, "per_turn", False))


def scores_partial(function: RewardFunction) -> bool:
    """Whether ``function`` can score a completion that is not finished, as shaping needs.

    Its attribute ``partial`` decides; without one, plain functions can and ``async`` ones cannot: they may be
    slow or cost money.
    """
    partial = _attribute(function, "partial", None)
    return not _is_async(function) if partial is None else bool(partial)


def _is_async(function: RewardFunction) -> bool:
    if isinstance(function, functools.partial):
        return _is_async(function.func)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _attribute(function: RewardFunction, name: str, default: Any) -> Any:
    """An attribute of ``function``, or of the function inside of a ``functools.partial``."""
    if not hasattr(function, name) and isinstance(function, functools.partial):
        return _attribute(function.func, name, default)
    return getattr(function, name, default)
