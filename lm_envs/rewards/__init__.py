"""Rewards: functions from prompts and completions to numbers, their names, and weighted sums of them.

A reward is any callable ``reward(prompts: list[str], completions: list[str], **columns) -> list[float]``, so
a function written for TRL works unchanged. ``names()`` lists those that come with the package.
"""

from lm_envs.rewards.combination import RewardBatch, RewardSum, RewardTerm
from lm_envs.rewards.registry import get, names, register
from lm_envs.rewards.specification import make_reward

__all__ = ["RewardBatch", "RewardSum", "RewardTerm", "get", "make_reward", "names", "register"]
