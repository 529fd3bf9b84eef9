"""Policies that choose by action values."""

from __future__ import annotations

from typing import Any


def is_value_policy(policy: Any) -> bool:
    """Whether a policy chooses by action values: what it has learned shows in its greedy actions, not in samples."""
    from stable_baselines3.common.policies import ActorCriticPolicy

    return not isinstance(policy, ActorCriticPolicy)
