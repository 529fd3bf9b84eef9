"""Rewards of texts that no environment has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lm_envs.errors import ConfigurationError
from lm_envs.rewards.specification import make_reward


def score_texts(
    reward: Any, prompts: Sequence[str], completions: Sequence[str], columns: Mapping[str, Sequence[Any]] | None = None
) -> np.ndarray:
    """What a reward pays for finished texts, in one call of each of its functions.

    Args:
        reward: Anything that :func:`~lm_envs.rewards.make_reward` takes.
        prompts: The ``n`` prompts.
        completions: The ``n`` completions.
        columns: Further data that the reward reads, by name, each of length ``n``.

    Returns:
        Rewards ``(n,)`` float64.

    Raises:
        ConfigurationError: A part of the reward is paid at each step of an episode, or the lengths differ.
        UnknownNameError: There is no such reward, or a column that it reads is missing.
        RewardError: It failed, or returned something other than a number for each text.
    """
    rewards = make_reward(reward)
    per_step = [term.name for term in rewards.terms if term.per_step]
    if per_step:
        raise ConfigurationError(
            f"the reward {per_step[0]!r} is paid at each step of an episode; a finished text has no steps. Name "
            "rewards that are paid at the end."
        )
    rewards.check_columns(columns or {})
    return rewards.episode(prompts, completions, **(columns or {})).total
