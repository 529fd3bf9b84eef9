"""Checks what a reward function returned and turns it into arrays."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lm_envs.errors import RewardError

SHOWN_CHARACTERS = 200


@dataclass
class Scores:
    """What one reward function said about a batch of episodes.

    Attributes:
        values: One finite number an episode, ``(n,)`` float64; 0 where the reward does not apply.
        applies: ``(n,)`` bool, False where the function returned None; None if it applies to all.
        tokens: For each episode its per-token rewards, ``(n_tokens,)`` float64, or None; None if no episode
            has any.
    """

    values: np.ndarray
    applies: np.ndarray | None = None
    tokens: list[np.ndarray | None] | None = None

    def take(self, indices: np.ndarray) -> Scores:
        """The scores of the episodes at ``indices``."""
        tokens = None if self.tokens is None else [self.tokens[i] for i in indices]
        return Scores(
            self.values[indices],
            None if self.applies is None else self.applies[indices],
            None if tokens is None or all(token is None for token in tokens) else tokens,
        )

    def numbers(self) -> np.ndarray:
        """The values, ``(n,)`` float64, NaN where the function returned None or a per-token list."""
        numbers = self.values.copy()
        if self.applies is not None:
            numbers[~self.applies] = np.nan
        if self.tokens is not None:
            numbers[[token is not None for token in self.tokens]] = np.nan
        return numbers


def read_scores(name: str, result: Any, prompts: Sequence[str], completions: Sequence[str]) -> Scores:
    """Turn the return value of the reward ``name`` into :class:`Scores`.

    Raises:
        RewardError: The value is not a sequence of one finite number, None or list of finite numbers for
            each episode.
    """
    try:
        values = np.asarray(result)
    except (TypeError, ValueError, RuntimeError):  # lists of different lengths, tensors with gradients
        values = np.empty(())
    if values.shape == (len(prompts),) and values.dtype.kind in "fiub":
        values = values.astype(np.float64)
        if np.isfinite(values).all():
            return Scores(values)
    return _read_items(name, result, prompts, completions)


def _read_items(name: str, result: Any, prompts: Sequence[str], completions: Sequence[str]) -> Scores:
    """The slow way: item by item, to find per-token lists, None, or what is wrong."""
    items = _as_list(name, result, prompts, completions)
    values = np.zeros(len(items))
    applies = np.ones(len(items), dtype=bool)
    tokens: list[np.ndarray | None] = [None] * len(items)
    for i, item in enumerate(items):
        item = item.tolist() if hasattr(item, "tolist") else item
        if item is None:
            applies[i] = False
        elif isinstance(item, (list, tuple)):
            rewards = [_number(name, value, prompts[i], completions[i]) for value in item]
            tokens[i] = np.array(rewards, dtype=np.float64)
            values[i] = math.fsum(rewards)
        else:
            values[i] = _number(name, item, prompts[i], completions[i])
    any_tokens = any(token is not None for token in tokens)
    return Scores(values, None if applies.all() else applies, tokens if any_tokens else None)


def _as_list(name: str, result: Any, prompts: Sequence[str], completions: Sequence[str]) -> list[Any]:
    n = len(prompts)
    if hasattr(result, "tolist") and getattr(result, "ndim", 1) != 1:
        result = result.tolist()
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__len__"):
        raise RewardError(
            f"the reward {name!r} returned {_shorten(repr(result))} ({type(result).__name__}); expected a "
            f"list of {n} numbers, one for each episode. {show_episode(prompts[0], completions[0])}"
        )
    if len(result) != n:
        raise RewardError(
            f"the reward {name!r} returned {len(result)} values for {n} episodes; expected one for each. "
            f"First episode: {show_episode(prompts[0], completions[0])}"
        )
    return list(result)


def _number(name: str, value: Any, prompt: str, completion: str) -> float:
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if not isinstance(value, numbers.Real):
        raise RewardError(
            f"the reward {name!r} returned {_shorten(repr(value))} ({type(value).__name__}) for an episode; "
            f"expected a number, or a list of numbers, one for each token. {show_episode(prompt, completion)}"
        )
    if not math.isfinite(value):
        raise RewardError(
            f"the reward {name!r} returned {float(value)}; expected a finite number. Look for a division by "
            f"zero or the logarithm of zero. {show_episode(prompt, completion)}"
        )
    return float(value)


def show_episode(prompt: Any, completion: Any) -> str:
    """The prompt and completion of an episode, shortened, for an error message."""
    return f"Prompt: {_shorten(repr(prompt))}. Completion: {_shorten(repr(completion))}."


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
