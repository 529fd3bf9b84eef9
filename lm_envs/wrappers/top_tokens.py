"""The most probable next tokens of a language model, with an end-of-text token among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch as th


class TopTokens(NamedTuple):
    """Candidates of ``n`` rows.

    Attributes:
        ids: ``(n, k)`` int64, most probable first.
        log_probs: ``(n, k)`` float32, under the distribution over all tokens.
        distinct: ``(n, k)`` bool; False where a slot only repeats the first one.
    """

    ids: th.Tensor
    log_probs: th.Tensor
    distinct: th.Tensor


def top_tokens(
    logits: th.Tensor, k: int, eos_ids: Sequence[int], top_p: float = 1.0, legal: th.Tensor | None = None
) -> TopTokens:
    """The ``k`` most probable legal tokens of the nucleus; the last slot is an end-of-text token if no other is.

    Args:
        logits: ``(n, vocab_size)`` float32, already divided by the temperature.
        k: How many.
        eos_ids: The end-of-text tokens; may be empty.
        top_p: Share of the legal tokens' probability that the nucleus holds [Holtzman et al., 2020,
            https://arxiv.org/abs/1904.09751]; 1 for all.
        legal: ``(n, vocab_size)`` bool, at least one a row; None where all tokens are.
    """
    log_total = logits.logsumexp(dim=-1, keepdim=True)
    if legal is not None:
        logits = logits.masked_fill(~legal, float("-inf"))
    values, ids = logits.topk(k)
    distinct = values > float("-inf")
    if top_p < 1.0:
        log_legal = log_total if legal is None else logits.logsumexp(dim=-1, keepdim=True)
        probs = (values - log_legal).exp()
        distinct &= probs.cumsum(dim=-1) - probs < top_p
    if eos_ids:
        _end_with_eos(logits, th.tensor(eos_ids, device=logits.device), values, ids, distinct)
    ids = ids.where(distinct, ids[:, :1])
    values = values.where(distinct, values[:, :1])
    return TopTokens(ids, (values - log_total).clamp(max=0.0), distinct)


def _end_with_eos(logits: th.Tensor, eos: th.Tensor, values: th.Tensor, ids: th.Tensor, distinct: th.Tensor) -> None:
    """Put the most probable legal end-of-text token in the last slot of the rows that have none, in place."""
    present = (th.isin(ids, eos) & distinct).any(dim=-1)
    eos_values, best = logits[:, eos].max(dim=-1)
    missing = ~present & (eos_values > float("-inf"))
    ids[:, -1] = eos[best].where(missing, ids[:, -1])
    values[:, -1] = eos_values.where(missing, values[:, -1])
    distinct[:, -1] |= missing
