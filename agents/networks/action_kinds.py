"""What a policy's actions are: tokens, candidate tokens, or other choices."""

from __future__ import annotations

from gymnasium import spaces

from agents.networks.trained_model import TrainedModel
from lm_envs.errors import ConfigurationError, ModelError


def number_of_actions(action_space: spaces.Space) -> int:
    """How many actions there are.

    Raises:
        ConfigurationError: If the space is not ``Discrete``.
    """
    if not isinstance(action_space, spaces.Discrete):
        raise ConfigurationError(f"expected a Discrete action space; got {action_space}.")
    return int(action_space.n)


def action_kind(model: TrainedModel, observation_space: spaces.Space, n_actions: int) -> str:
    """Whether actions are ``"tokens"``, ``"candidates"`` or ``"choices"``.

    Args:
        model: The policy's language model or encoder.
        observation_space: That of a token environment.
        n_actions: Number of actions.

    Raises:
        ModelError: If the model has another vocabulary than the environment, or is an encoder and would have to write.
    """
    assert isinstance(observation_space, spaces.Dict)
    vocab_size = int(observation_space["input_ids"].high.max()) + 1  # type: ignore[attr-defined]
    if vocab_size != model.vocab_size:
        raise ModelError(
            f"the policy's model has {model.vocab_size} tokens, the environment has {vocab_size}. Give the same model "
            "to both: make_lm_vec_env(..., env_kwargs=dict(model=NAME)) and policy_kwargs=dict(model=NAME)."
        )
    if "cursor" in observation_space.spaces:
        return "choices"
    kind = "tokens" if n_actions == vocab_size else "choices"
    if "candidate_ids" in observation_space.spaces:
        kind = "candidates"
    if kind != "choices" and model.reads_ahead:
        raise ModelError(
            f"the policy's model is an encoder, which reads whole texts and cannot write; the actions here are {kind}. "
            "Give policy and environment a causal language model, such as 'tiny', or take an environment whose actions "
            "are labels or choices: Tagging-v0, or QA-v0 with actions='choice'."
        )
    return kind
