"""The nucleus of a distribution over tokens: the most probable ones that together reach a probability."""

from __future__ import annotations

import torch as th

from agents.networks.action_logits import Columns, action_logits
from agents.networks.token_log_probs import row_chunks
from agents.networks.token_mask import PackedMask
from lm_envs.inference.output_layer import OutputLayer

FIRST_TOKENS = 32  # looked at first; most nuclei of a language model are smaller
GROWTH = 16  # times as many for the rows where these do not suffice; sorting all rows takes three to six times as long
SLACK = {th.float32: 1e-4, th.bfloat16: 0.05}  # by how much two passes over the same tokens may differ


def nucleus(logits: th.Tensor, top_p: float, min_tokens: int = 1) -> th.Tensor:
    """Which tokens are in the nucleus (`Holtzman et al. 2020 <https://arxiv.org/abs/1904.09751>`_).

    These are the fewest of the most probable tokens whose probabilities sum to at least ``top_p``, and all that are as
    probable as the last of them: one threshold a row, whatever the order of equals.

    Args:
        logits: ``(n, n_tokens)`` float32; minus infinity for illegal tokens, which are never in it.
        top_p: Above 0, at most 1; 1 for all legal tokens.
        min_tokens: The most probable tokens that are in it in any case.

    Returns:
        ``(n, n_tokens)`` bool.
    """
    legal = ~logits.isneginf()
    if top_p >= 1.0:
        return legal
    probs = logits.softmax(dim=1)
    return (probs >= _thresholds(probs, top_p, min_tokens)) & legal


def _thresholds(probs: th.Tensor, top_p: float, min_tokens: int) -> th.Tensor:
    """The probability ``(n, 1)`` of the last token in each nucleus."""
    n_rows, n_tokens = probs.shape
    thresholds = probs.new_zeros(n_rows, 1)
    rows, width = th.arange(n_rows, device=probs.device), max(FIRST_TOKENS, min_tokens)
    while len(rows):
        width = min(width, n_tokens)
        found = (probs if len(rows) == n_rows else probs[rows]).topk(width, dim=1).values
        cumulative = found.cumsum(dim=1)
        counts = (cumulative - found < top_p).sum(dim=1, keepdim=True).clamp(min(min_tokens, width), width)
        done = cumulative[:, -1] >= top_p if width < n_tokens else th.ones_like(rows, dtype=th.bool)
        thresholds[rows[done]] = found.gather(1, counts - 1)[done]
        rows, width = rows[~done], width * GROWTH
    return thresholds


def was_inside(logits: th.Tensor, actions: th.Tensor, top_p: float, min_tokens: int, slack: float) -> th.Tensor:
    """Whether tokens are in the nucleus, or so close to its edge that rounding may have moved them across it.

    A rollout and an update compute the same distribution in different orders. Without this, a token that was drawn at
    the edge could have probability 0 in the update.

    Args:
        logits: ``(n, n_tokens)`` float32, minus infinity for illegal tokens.
        actions: ``(n,)`` int64.
        top_p: As for :func:`nucleus`.
        min_tokens: As for :func:`nucleus`.
        slack: How far the sum of the probabilities of better tokens may be above ``top_p``.

    Returns:
        ``(n,)`` bool.
    """
    probs = logits.softmax(dim=1)
    own = probs.gather(1, actions[:, None])
    better = probs > own * (1.0 + slack)
    close = (probs * better).sum(dim=1) < top_p + slack
    return (close | (better.sum(dim=1) < min_tokens)) & ~logits.gather(1, actions[:, None]).squeeze(1).isneginf()


@th.no_grad()
def nucleus_mask(
    layer: OutputLayer,
    hidden: th.Tensor,
    columns: Columns,
    top_p: float,
    min_tokens: int = 1,
    actions: th.Tensor | None = None,
) -> th.Tensor | PackedMask:
    """The nucleus over the legal actions, given a language model's hidden states, without ever holding all logits.

    Args:
        layer: The output layer.
        hidden: ``(n, hidden_size)``.
        columns: What the observations hold beside tokens, see :func:`agents.networks.action_logits.action_logits`.
        top_p: As for :func:`nucleus`.
        min_tokens: As for :func:`nucleus`.
        actions: ``(n,)`` int64, taken in a rollout; those at the nucleus's edge count as in it.

    Returns:
        ``(n, n_actions)`` bool; with ``actions`` and without candidates as a :class:`PackedMask`, an eighth as large.
    """
    n_rows, is_large = len(hidden), actions is not None and "candidate_ids" not in columns
    parts: list[th.Tensor] = []
    for part in row_chunks(hidden, len(layer.weight)):
        here = {key: column[part] for key, column in columns.items() if key in ("candidate_ids", "action_mask")}
        logits = action_logits(layer, hidden[part], here)
        mask = nucleus(logits, top_p, min_tokens)
        if actions is not None:
            _let_taken_in(mask, logits, actions[part], top_p, min_tokens, SLACK.get(hidden.dtype, SLACK[th.bfloat16]))
        parts.append(PackedMask.bits_of(mask) if is_large else mask)
    masks = th.cat(parts) if n_rows else th.zeros((0, len(layer.weight)), dtype=th.bool, device=hidden.device)
    return PackedMask(masks, len(layer.weight)) if is_large else masks


def _let_taken_in(
    mask: th.Tensor, logits: th.Tensor, actions: th.Tensor, top_p: float, min_tokens: int, slack: float
) -> None:
    """Add to the nuclei what was drawn at their edges; few rows, if any, have to be looked at."""
    rows = (~mask.gather(1, actions[:, None]).squeeze(1)).nonzero().squeeze(1)
    if len(rows):
        mask[rows, actions[rows]] = was_inside(logits[rows], actions[rows], top_p, min_tokens, slack)
