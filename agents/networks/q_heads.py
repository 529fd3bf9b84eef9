"""From a hidden state to the values of actions: of all tokens, of candidate tokens, or of other choices."""

from __future__ import annotations

from collections.abc import Mapping

import torch as th
from torch.nn import functional

from lm_envs.inference.output_layer import OutputLayer


def candidate_logits(layer: OutputLayer, hidden: th.Tensor, candidate_ids: th.Tensor) -> th.Tensor:
    """Logits of a few tokens: the rows of the output layer that belong to them, against the hidden state.

    Args:
        layer: The language model's output layer.
        hidden: ``(n, hidden_size)``.
        candidate_ids: ``(n, k)`` integer token ids.

    Returns:
        ``(n, k)`` float32.
    """
    ids = candidate_ids.long()
    logits = th.einsum("nkh,nh->nk", functional.embedding(ids, layer.weight), hidden.to(layer.weight.dtype)).float()
    if layer.bias is not None:
        logits = logits + layer.bias.float()[ids]
    return layer.finish(logits)


def legal_log_softmax(logits: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:
    """Log-probabilities ``(n, n_actions)`` normalised over the legal actions; illegal ones get finite numbers too.

    An illegal action that exploration took anyway has a value that can be learned from.
    """
    return logits - legal(logits, columns).logsumexp(dim=1, keepdim=True)


def legal(values: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:
    """Values ``(n, [n_quantiles,] n_actions)`` with minus infinity at illegal actions."""
    mask = columns.get("action_mask")
    if mask is None:
        return values
    mask = mask.bool() if values.ndim == 2 else mask.bool()[:, None]
    return values.masked_fill(~mask, float("-inf"))
