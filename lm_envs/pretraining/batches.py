"""Turning documents into training batches.

Every document starts at position 0 of a row, as it does in the environments. Documents of similar length share a
batch, so that little is padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lm_envs.world.corpus import SHARES, documents

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
_SORTED_TOGETHER = 3000


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, with the end-of-text token added."""
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in ids]


def pad_rows(rows: list[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows on the right.

    Returns:
        ``input_ids`` and ``labels``, both int64 of shape (n_rows, longest); padding is ``IGNORED`` in the labels.
    """
    import torch

    longest = max(map(len, rows))
    input_ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), IGNORED)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = labels[index, : len(row)] = torch.tensor(row)
    return input_ids, labels


def batches(
    tokenizer: PreTrainedTokenizerBase,
    rng: np.random.Generator,
    tokens_per_batch: int,
    shares: Mapping[str, float] = SHARES,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endlessly make batches of about ``tokens_per_batch`` tokens from new training documents."""
    stream = documents(rng, shares=shares)
    while True:
        rows = sorted(encode(tokenizer, list(islice(stream, _SORTED_TOGETHER))), key=len)
        groups = list(_group(rows, tokens_per_batch))
        for index in rng.permutation(len(groups)):
            yield pad_rows(groups[index], tokenizer.pad_token_id)


def _group(rows: list[list[int]], tokens_per_batch: int) -> Iterator[list[list[int]]]:
    """Cut rows, sorted by length, into full groups; the longest rows that fill no group are left out."""
    group: list[list[int]] = []
    for row in rows:
        group.append(row)
        if len(group) * len(row) >= tokens_per_batch:
            yield group
            group = []
