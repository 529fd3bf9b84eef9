"""Splits texts into words, and rewards' checks of what they are given."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence

from lm_envs.errors import ConfigurationError, MissingDependencyError

_WORD = re.compile(r"\w+(?:['’]\w+)*")  # noqa: RUF001  (the typographic apostrophe is meant)


def words_of(text: str | None) -> list[str]:
    """The words of ``text`` in lower case, without punctuation; none for None."""
    return _WORD.findall(text.casefold()) if text else []


def ngrams_of(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of ``n`` neighbouring words."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def require_package(package: str, reward: str) -> None:
    """Raise MissingDependencyError, without importing it, if a package of the extra is not installed."""
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError.for_package(package, "rewards", f"the reward {reward!r}")


def require_positive_integer(reward: str, parameter: str, value: object) -> None:
    """Raise ConfigurationError unless ``value`` is an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{parameter} of the reward {reward!r} has to be an integer >= 1, got {value!r}.")


def require_choice(reward: str, parameter: str, value: object, choices: Sequence[str]) -> None:
    """Raise ConfigurationError unless ``value`` is one of ``choices``."""
    if value not in choices:
        options = ", ".join(repr(choice) for choice in choices)
        raise ConfigurationError(f"{parameter} of the reward {reward!r} has to be one of {options}, got {value!r}.")
