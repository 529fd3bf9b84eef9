"""The tokens of questions: a question that is asked again is not tokenized again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_envs.vocabulary import Vocabulary

MAX_KEPT = 2**14

Ids = npt.NDArray[np.int32]


class PromptTokens:
    """Turns prompts into tokens; of one that is too long the end is kept, and the begin-of-text token if there is one.

    Args:
        vocabulary: The model's tokens.
        width: The room for a prompt.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        self._vocabulary = vocabulary
        self._width = width
        self._kept: dict[str, Ids] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tokens out: they are quickly made again."""
        return {**self.__dict__, "_kept": {}}

    def __call__(self, prompts: Sequence[str]) -> tuple[Ids, npt.NDArray[np.int64]]:
        """Ids ``(k, longest)`` int32, zeros behind the shorter ones, and lengths ``(k,)`` int64."""
        found = self._ids(prompts)
        lengths = np.array([len(ids) for ids in found], dtype=np.int64)
        padded = np.zeros((len(found), int(lengths.max())), dtype=np.int32)
        for row, ids in zip(padded, found, strict=True):
            row[: len(ids)] = ids
        return padded, lengths

    def _ids(self, prompts: Sequence[str]) -> list[Ids]:
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._kept]
        made = dict(zip(new, self._tokenized(new), strict=True)) if new else {}
        found = [made[prompt] if prompt in made else self._kept[prompt] for prompt in prompts]
        if len(self._kept) + len(made) > MAX_KEPT:
            self._kept.clear()
        self._kept.update(made)
        return found

    def _tokenized(self, prompts: list[str]) -> list[Ids]:
        return [self._cut(ids) for ids in self._vocabulary.tokenizer(prompts)["input_ids"]]

    def _cut(self, ids: list[int]) -> Ids:
        bos = self._vocabulary.tokenizer.bos_token_id
        if len(ids) > self._width:
            keeps_bos = bos is not None and ids[0] == bos
            ids = [bos, *ids[len(ids) - self._width + 1 :]] if keeps_bos else ids[-self._width :]
        return np.array(ids, dtype=np.int32)
