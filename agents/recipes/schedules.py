"""Hyperparameters that change during training, written as text, so that they stand in a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.utils import LinearSchedule

from lm_envs.errors import ConfigurationError

SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
FINAL_SHARE = 0.05  # of the start: the last steps still learn


def with_schedules(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Turn texts such as ``"lin_1e-3"``, RL Zoo's notation, into schedules; leave everything else.

    Args:
        hyperparameters: Arguments of an algorithm.

    Returns:
        The arguments; a text has become a line from its number down to 5% of it.

    Raises:
        ConfigurationError: If a text is no such schedule.
    """
    return {
        name: _schedule(name, value) if name in SCHEDULED and isinstance(value, str) else value
        for name, value in hyperparameters.items()
    }


def _schedule(name: str, text: str) -> LinearSchedule:
    kind, _, number = text.partition("_")
    try:
        start = float(number)
    except ValueError:
        start = -1.0
    if kind != "lin" or start <= 0:
        raise ConfigurationError(
            f"{name} must be a number, or 'lin_NUMBER' for one that falls linearly, such as 'lin_1e-3'; got {text!r}."
        )
    return LinearSchedule(start, FINAL_SHARE * start, 1.0)
