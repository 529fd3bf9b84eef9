"""Prompts as token ids: tokenized once a process for each (data set, model), kept as one ragged array."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lm_envs.errors import DataError, ModelError
from lm_envs.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class PromptTable:
    """The token ids of all prompts of a data set, without padding.

    Attributes:
        flat_ids: All prompts one after the other, ``(total,)`` int32.
        offsets: Prompt i is ``flat_ids[offsets[i]:offsets[i + 1]]``; ``(n_prompts + 1,)`` int64.
        bos_id: The token that the tokenizer puts in front of each prompt, if it does; truncation keeps it.
    """

    flat_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    bos_id: int | None

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of tokens of each prompt, ``(n_prompts,)`` int64."""
        return np.diff(self.offsets)

    def padded(
        self, indices: npt.NDArray[np.integer], width: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The prompts ``indices``, each cut from the left to at most ``width`` tokens.

        Returns:
            ids: ``(k, width)`` int32; what stands beyond a prompt's length is arbitrary.
            lengths: ``(k,)`` int64.
        """
        ends = self.offsets[indices + 1]
        full_lengths = ends - self.offsets[indices]
        lengths = np.minimum(full_lengths, width)
        columns = np.minimum(np.arange(width), lengths[:, None] - 1)  # (k, width)
        ids = self.flat_ids[(ends - lengths)[:, None] + columns]
        if self.bos_id is not None:
            ids[full_lengths > width, 0] = self.bos_id
        return ids, lengths


def prompt_table(prompts: Sequence[str], vocabulary: Vocabulary) -> PromptTable:
    """The table of ``prompts`` under the tokenizer of ``vocabulary``, kept for the rest of the process.

    Raises:
        DataError: A prompt has no tokens and the tokenizer has no token to start from.
        ModelError: The tokenizer produces ids that the model has no embedding for.
    """
    digest = hashlib.blake2b(digest_size=16)
    for prompt in prompts:
        digest.update(prompt.encode("utf-8", "surrogatepass") + b"\0")
    return _build_table(_TableKey(digest.digest(), vocabulary, prompts))


@dataclass(frozen=True)
class _TableKey:
    """Equal for equal prompts and models; carries the prompts along for a first build."""

    fingerprint: bytes
    vocabulary: Vocabulary
    prompts: Sequence[str] = field(compare=False)


@lru_cache(maxsize=16)
def _build_table(key: _TableKey) -> PromptTable:
    tokenizer = key.vocabulary.tokenizer
    # no truncation here: verbose=False keeps the tokenizer quiet about long prompts
    rows: list[list[int]] = tokenizer(list(key.prompts), verbose=False)["input_ids"]
    for row, prompt in enumerate(key.prompts):
        if not rows[row]:
            rows[row] = [_start_token(tokenizer, row, prompt)]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    flat_ids = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=int(offsets[-1]))
    if flat_ids.max() >= key.vocabulary.size:
        raise ModelError(
            f"the tokenizer of {key.vocabulary.model!r} gives token id {flat_ids.max()}, but the model's "
            f"vocabulary has {key.vocabulary.size} entries: tokenizer and model do not belong together"
        )
    bos_id = tokenizer.bos_token_id
    starts_with_bos = bos_id is not None and bool((flat_ids[offsets[:-1]] == bos_id).all())
    return PromptTable(flat_ids, offsets, bos_id if starts_with_bos else None)


def _start_token(tokenizer: PreTrainedTokenizerBase, row: int, prompt: str) -> int:
    """The token that stands for an empty prompt, as in ``generate`` without input."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise DataError(
        f"prompt {row} ({prompt!r}) has no tokens, and the tokenizer has neither a begin- nor an end-of-text "
        "token to start from: remove the empty prompt"
    )
