"""Stable-Baselines3 policies, buffers and callbacks for token environments.

The algorithms stay Stable-Baselines3's own; everything here plugs into their public seams.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.buffers.group_relative_buffer import GRPORolloutBuffer as GRPORolloutBuffer
    from agents.buffers.group_relative_buffer import RLOORolloutBuffer as RLOORolloutBuffer
    from agents.buffers.maskable_rollout_buffer import MaskableSequenceRolloutBuffer as MaskableSequenceRolloutBuffer
    from agents.buffers.sequence_replay_buffer import SequenceReplayBuffer as SequenceReplayBuffer
    from agents.buffers.sequence_rollout_buffer import SequenceRolloutBuffer as SequenceRolloutBuffer
    from agents.callbacks.kl_stop import StopOnKL as StopOnKL
    from agents.callbacks.nlpo_mask import NLPOMaskCallback as NLPOMaskCallback
    from agents.callbacks.reference_kl import ReferenceKLCallback as ReferenceKLCallback
    from agents.callbacks.rollout_buffer import RolloutBufferCallback as RolloutBufferCallback
    from agents.callbacks.rollout_log import RolloutLogCallback as RolloutLogCallback
    from agents.callbacks.token_rewards import TokenRewardsCallback as TokenRewardsCallback
    from agents.feedback.collecting import collect_items as collect_items
    from agents.feedback.files import read_feedback as read_feedback
    from agents.feedback.simulated import SimulatedAnnotator as SimulatedAnnotator
    from agents.feedback.store import FeedbackStore as FeedbackStore
    from agents.parallel.data_parallel import data_parallel as data_parallel
    from agents.policies.actor_critic import LMActorCriticPolicy as LMActorCriticPolicy
    from agents.policies.maskable_policy import LMMaskableActorCriticPolicy as LMMaskableActorCriticPolicy
    from agents.policies.nlpo_policy import LMNLPOPolicy as LMNLPOPolicy
    from agents.policies.q_policy import LMQPolicy as LMQPolicy
    from agents.reward_models.ensemble import train_reward_ensemble as train_reward_ensemble
    from agents.reward_models.training import train_reward_model as train_reward_model
    from agents.vec_env import GymnasiumVecEnv as GymnasiumVecEnv
    from agents.vec_env import make_lm_vec_env as make_lm_vec_env

# name -> its module: imported on first use, so that `lm-envs --help` does not wait for torch
_LAZY = {
    "FeedbackStore": "agents.feedback.store",
    "GRPORolloutBuffer": "agents.buffers.group_relative_buffer",
    "GymnasiumVecEnv": "agents.vec_env",
    "LMActorCriticPolicy": "agents.policies.actor_critic",
    "LMMaskableActorCriticPolicy": "agents.policies.maskable_policy",
    "LMNLPOPolicy": "agents.policies.nlpo_policy",
    "LMQPolicy": "agents.policies.q_policy",
    "MaskableSequenceRolloutBuffer": "agents.buffers.maskable_rollout_buffer",
    "NLPOMaskCallback": "agents.callbacks.nlpo_mask",
    "RLOORolloutBuffer": "agents.buffers.group_relative_buffer",
    "ReferenceKLCallback": "agents.callbacks.reference_kl",
    "RolloutBufferCallback": "agents.callbacks.rollout_buffer",
    "RolloutLogCallback": "agents.callbacks.rollout_log",
    "SequenceReplayBuffer": "agents.buffers.sequence_replay_buffer",
    "SequenceRolloutBuffer": "agents.buffers.sequence_rollout_buffer",
    "SimulatedAnnotator": "agents.feedback.simulated",
    "StopOnKL": "agents.callbacks.kl_stop",
    "TokenRewardsCallback": "agents.callbacks.token_rewards",
    "collect_items": "agents.feedback.collecting",
    "data_parallel": "agents.parallel.data_parallel",
    "make_lm_vec_env": "agents.vec_env",
    "read_feedback": "agents.feedback.files",
    "train_reward_ensemble": "agents.reward_models.ensemble",
    "train_reward_model": "agents.reward_models.training",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    """Import the public names on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names too, for completion in an interactive session."""
    return sorted({*globals(), *_LAZY})
