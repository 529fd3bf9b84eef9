"""From hidden states to the distribution over actions: tokens or candidate tokens, the legal ones among them."""

from __future__ import annotations

from collections.abc import Mapping

import torch as th

from agents.networks.q_heads import candidate_logits, legal
from agents.networks.token_log_probs import token_log_probs
from lm_envs.inference.output_layer import OutputLayer

Columns = Mapping[str, th.Tensor]


def action_logits(layer: OutputLayer, hidden: th.Tensor, columns: Columns) -> th.Tensor:
    """Logits of all actions; minus infinity for illegal ones.

    Args:
        layer: The language model's output layer.
        hidden: ``(n, hidden_size)``.
        columns: What the observations hold beside tokens: with ``candidate_ids`` the actions are these tokens, else
            the vocabulary; where ``action_mask`` is 0 they are illegal.

    Returns:
        ``(n, n_actions)`` float32.
    """
    candidates = columns.get("candidate_ids")
    logits = layer.logits(hidden) if candidates is None else candidate_logits(layer, hidden, candidates)
    return legal(logits, columns)


def action_log_probs(
    layer: OutputLayer, hidden: th.Tensor, actions: th.Tensor, columns: Columns
) -> tuple[th.Tensor, th.Tensor]:
    """Log-probabilities of the actions and entropies of the distributions over legal actions, differentiable.

    Args:
        layer: The language model's output layer.
        hidden: ``(n, hidden_size)``.
        actions: ``(n,)`` int64.
        columns: See :func:`action_logits`.

    Returns:
        Two float32 tensors ``(n,)``, in nats.
    """
    if "candidate_ids" in columns:
        return log_probs_of(action_logits(layer, hidden, columns), actions)
    return token_log_probs(layer, hidden, actions, columns.get("action_mask"))


def log_probs_of(logits: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """The same from the logits ``(n, n_actions)`` of a few actions, minus infinity at illegal ones."""
    log_probs = logits.log_softmax(dim=1)
    finite = log_probs.masked_fill(logits.isneginf(), 0.0)  # their probability is 0, and 0 * -inf is not a number
    entropy = -(log_probs.exp() * finite).sum(dim=1)
    return log_probs.gather(1, actions[:, None]).squeeze(1), entropy
