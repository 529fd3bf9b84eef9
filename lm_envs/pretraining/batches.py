"""Turning documents into training batches.

Every document starts at position 0 of a row, as it does in the environments. Documents of similar length share a
batch, so that little is padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lm_envs.world.corpus import SHARES, documents, prompt_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
_SORTED_TOGETHER = 3000


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, with the end-of-text token added."""
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in ids]


def pad_rows(
    rows: list[list[int]], pad_id: int, given: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows on the right.

    Args:
        rows: Token ids of each document.
        pad_id: The padding token.
        given: How many tokens at the start of each row are not to be learned; None: none.

    Returns:
        ``input_ids`` and ``labels``, both int64 of shape (n_rows, longest); what is given and the padding are
        ``IGNORED`` in the labels.
    """
    import torch

    longest = max(map(len, rows))
    input_ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), IGNORED)
    for index, (row, start) in enumerate(zip(rows, given or [0] * len(rows), strict=True)):
        input_ids[index, : len(row)] = torch.tensor(row)
        labels[index, start : len(row)] = torch.tensor(row[start:])
    return input_ids, labels


def batches(
    tokenizer: PreTrainedTokenizerBase,
    rng: np.random.Generator,
    tokens_per_batch: int,
    shares: Mapping[str, float] = SHARES,
    answers_only: bool = False,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endlessly make batches of about ``tokens_per_batch`` tokens from new training documents.

    Args:
        tokenizer: The tokenizer.
        rng: Source of all randomness.
        tokens_per_batch: Tokens, padding included.
        shares: Proportions of the domains.
        answers_only: Whether prompts are given: of a passage with a question, only the answer is to be learned.
    """
    stream = documents(rng, shares=shares)
    while True:
        texts = list(islice(stream, _SORTED_TOGETHER))
        prompts = tokenizer([prompt_of(text) for text in texts], add_special_tokens=False)["input_ids"]
        given = [len(prompt) if answers_only else 0 for prompt in prompts]
        rows = sorted(zip(encode(tokenizer, texts), given, strict=True), key=lambda row: len(row[0]))
        groups = list(_group(rows, tokens_per_batch))
        for index in rng.permutation(len(groups)):
            yield pad_rows([row for row, _ in groups[index]], tokenizer.pad_token_id, [n for _, n in groups[index]])


def _group(rows: list[tuple[list[int], int]], tokens_per_batch: int) -> Iterator[list[tuple[list[int], int]]]:
    """Cut rows, sorted by length, into full groups; the longest rows that fill no group are left out."""
    group: list[tuple[list[int], int]] = []
    for row in rows:
        group.append(row)
        if len(group) * len(row[0]) >= tokens_per_batch:
            yield group
            group = []
