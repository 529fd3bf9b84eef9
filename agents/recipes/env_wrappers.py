"""Wrappers of environments as text: a list of import paths with keyword arguments, as RL-Zoo writes them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import ConfigurationError, LMEnvsError

Entries = list[dict[str, dict[str, Any]]]

CANDIDATES = "lm_envs.wrappers.CandidateActions"
_OURS = "lm_envs.wrappers."


def read_entries(value: Any) -> Entries:
    """Read RL-Zoo's notation.

    Args:
        value: None, an import path, ``{import path: keyword arguments}``, or a list of these.

    Returns:
        ``{import path: keyword arguments}`` for each.

    Raises:
        ConfigurationError: It is something else.
    """
    items = [] if value is None else [value] if isinstance(value, str | Mapping) else value
    if not isinstance(items, Sequence):
        raise ConfigurationError(f"expected a list of import paths; got {value!r}.")
    return [_entry(item) for item in items]


def _entry(item: Any) -> dict[str, dict[str, Any]]:
    pair: tuple[Any, Any] = (item, {})
    if isinstance(item, Mapping) and len(item) == 1:
        pair = next(iter(item.items()))
    path, kwargs = pair
    if not isinstance(path, str) or "." not in path or not isinstance(kwargs, Mapping | None):
        raise ConfigurationError(
            f"expected an import path, such as {CANDIDATES}, or one import path with its keyword arguments, such as "
            f"{{{CANDIDATES}: {{k: 16}}}}; got {item!r}."
        )
    return {path: dict(kwargs or {})}


def with_candidates(entries: Entries, k: int) -> Entries:
    """The same wrappers with ``k`` candidates a step; 0 for none, so that all tokens are actions."""
    others = [entry for entry in entries if CANDIDATES not in entry]
    if k == 0:
        return others
    kwargs = next((entry[CANDIDATES] for entry in entries if CANDIDATES in entry), {})
    return [{CANDIDATES: {**kwargs, "k": k}}, *others]


def describe(entries: Entries) -> str:
    """For example ``CandidateActions(k=16), HiddenStateObservation()``."""
    calls = [(path.rpartition(".")[2], kwargs) for entry in entries for path, kwargs in entry.items()]
    return ", ".join(
        f"{name}({', '.join(f'{key}={value}' for key, value in kwargs.items())})" for name, kwargs in calls
    )


@dataclass(frozen=True)
class WrapperStack:
    """Applies wrappers one after the other, to a single or a vector environment; fits as ``wrapper_class``.

    Attributes:
        entries: The wrappers, innermost first.
        device: Where the wrappers of this project run their language model; ``"auto"`` leaves it to them.
    """

    entries: Entries
    device: str = "auto"

    def __call__(self, env: Any) -> Any:
        """Wrap.

        Raises:
            ConfigurationError: There is no such wrapper, or it refuses its arguments.
        """
        for entry in self.entries:
            for path, kwargs in entry.items():
                env = self._apply(path, kwargs, env)
        return env

    def _apply(self, path: str, kwargs: dict[str, Any], env: Any) -> Any:
        own = {"device": self.device} if path.startswith(_OURS) and self.device != "auto" else {}
        wrapper = import_path(path, "the wrapper")
        try:
            return wrapper(env, **{**own, **kwargs})
        except LMEnvsError:
            raise
        except (TypeError, ValueError, AssertionError) as error:
            raise ConfigurationError(f"the wrapper {path} refuses its arguments {kwargs}: {error}") from error


def wrapper_stack(entries: Entries, device: str = "auto") -> WrapperStack | None:
    """The wrappers as one callable; None where there are none."""
    return WrapperStack(entries, device) if entries else None


def import_path(path: str, kind: str) -> Any:
    """Import what stands at ``module.name``.

    Args:
        path: Where it is.
        kind: What it is, for the error.

    Raises:
        ConfigurationError: There is no such module, or nothing of that name in it.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"cannot import {kind} {path!r}: {error}. Expected MODULE.NAME.") from error
