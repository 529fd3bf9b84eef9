"""A pretrained language model as a policy: what every training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from stable_baselines3.common.utils import get_device

import lm_envs  # noqa: F401 - registers the environments
from agents.evaluation.metrics import reference_policy
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.recipes.env_wrappers import WrapperStack
from lm_envs.models import is_encoder

CHOICE_TOKENS = 64
"""Room for a choice that is written, where nobody says how long they are."""


def pretrained_policy(env_id: str, env_kwargs: Mapping[str, Any], device: str = "auto") -> LMActorCriticPolicy:
    """The environment's own language model, untrained, choosing among all tokens.

    Args:
        env_id: A registered environment.
        env_kwargs: Its arguments, ``model`` among them.
        device: Where the policy goes.
    """
    env = gym.make(env_id, **env_kwargs)
    spaces = env.observation_space, env.action_space
    env.close()
    policy = LMActorCriticPolicy(*spaces, lambda _: 0.0, model=env_kwargs["model"], trainable="heads")
    return policy.to(get_device(device))


def untrained(
    policy: Any, env_id: str, env_kwargs: Mapping[str, Any], wrapper: WrapperStack | None, device: str = "auto"
) -> tuple[LMActorCriticPolicy, WrapperStack | None]:
    """What a trained policy is compared with: the pretrained language model, and what its environment is wrapped in.

    An actor-critic language model is compared with itself before training, which chooses among the same actions. Any
    other policy is compared with the environment's language model, which chooses among all tokens, if it can write: in
    an environment with the arguments :func:`untrained_kwargs`.

    Args:
        policy: The trained policy.
        env_id: Its environment.
        env_kwargs: The environment's arguments, ``model`` among them.
        wrapper: What the trained policy's environment is wrapped in.
        device: Where the untrained policy goes.
    """
    if isinstance(policy, LMActorCriticPolicy):
        return reference_policy(policy), wrapper
    return pretrained_policy(env_id, untrained_kwargs(policy, env_kwargs), device), None


def untrained_kwargs(policy: Any, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the environment in which :func:`untrained` acts.

    Where the trained policy chooses among the choices of ``QA-v0``, the language model writes one of them.
    """
    if isinstance(policy, LMActorCriticPolicy) or is_encoder(env_kwargs["model"]):
        return dict(env_kwargs)
    tokens = with_token_actions(env_kwargs)
    return {"max_new_tokens": CHOICE_TOKENS, **tokens, "constrain": True} if chooses_answers(env_kwargs) else tokens


def chooses_answers(env_kwargs: Mapping[str, Any]) -> bool:
    """Whether actions are the choices of ``QA-v0``."""
    return env_kwargs.get("actions") == "choice"


def with_token_actions(env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """An environment's arguments with tokens for actions, instead of dialogue acts or choices."""
    return {key: value for key, value in env_kwargs.items() if key not in ("actions", "phrasing")}
