"""Stable-Baselines3 policies, buffers and callbacks for token environments.

The algorithms stay Stable-Baselines3's own; everything here plugs into their public seams.
"""

from agents.policies import LMActorCriticPolicy
from agents.reference_kl import ReferenceKLCallback
from agents.sequence_rollout_buffer import SequenceRolloutBuffer
from agents.token_rewards import TokenRewardsCallback
from agents.vec_env import GymnasiumVecEnv, make_lm_vec_env

__all__ = [
    "GymnasiumVecEnv",
    "LMActorCriticPolicy",
    "ReferenceKLCallback",
    "SequenceRolloutBuffer",
    "TokenRewardsCallback",
    "make_lm_vec_env",
]
