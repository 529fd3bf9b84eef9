"""Answers that can only be one of the choices: a trie of their tokens tells which token may come next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lm_envs.errors import DataError
from lm_envs.legal_actions import LegalActions
from lm_envs.token_state import IntArray, TokenState
from lm_envs.vocabulary import Vocabulary

Path = tuple[int, ...]


class ChoiceTrie:
    """The tokens that may follow each beginning of a choice.

    Args:
        choices: The tokens of each choice, at least one each.
        end_ids: The tokens that end an answer; legal where a choice is complete.
    """

    def __init__(self, choices: Sequence[Sequence[int]], end_ids: Sequence[int]) -> None:
        self._end = np.array(end_ids, dtype=np.int64)
        following: dict[Path, set[int]] = {}
        for tokens in choices:
            path = tuple(tokens)
            for n, token in enumerate(path):
                following.setdefault(path[:n], set()).add(token)
            following.setdefault(path, set()).update(end_ids)
        self._following = {path: np.array(sorted(tokens), dtype=np.int64) for path, tokens in following.items()}

    def following(self, written: Sequence[int]) -> npt.NDArray[np.int64]:
        """The tokens that may come next; those that end the answer where ``written`` begins no choice."""
        return self._following.get(tuple(written), self._end)


class OnlyChoices(LegalActions):
    """Only tokens are legal that go on with one of the row's choices, and the end of the text after a whole one.

    After an illegal token nothing but the end of the text is legal.

    Args:
        vocabulary: The model's tokens.
        num_rows: Number of episodes side by side.
    """

    restricts = True

    def __init__(self, vocabulary: Vocabulary, num_rows: int) -> None:
        super().__init__(vocabulary.size)
        self._tries: list[ChoiceTrie | None] = [None] * num_rows

    def begin(self, row: int, trie: ChoiceTrie) -> None:
        """A new question in ``row``."""
        self._tries[row] = trie

    def mask(self, state: TokenState, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Which actions are legal next, a new array ``(k, n_actions)`` bool; see :class:`LegalActions`."""
        mask = np.zeros((len(rows), self.n_actions), dtype=np.bool_)
        for k, row in enumerate(rows):
            trie = self._tries[row]
            if trie is None:
                mask[k] = True
            else:
                mask[k, trie.following(state.completion_ids(row).tolist())] = True
        return mask


def choice_tokens(vocabulary: Vocabulary, prompt: str, choices: Sequence[str]) -> list[list[int]]:
    """The tokens of each choice, written behind a prompt: with a space where the prompt ends without one.

    Raises:
        DataError: A choice has no tokens, or two choices have the same.
    """
    space = " " if prompt[-1:].strip() else ""
    texts = [f"{space}{choice}" for choice in choices]
    found = [list(ids) for ids in vocabulary.tokenizer(texts, add_special_tokens=False)["input_ids"]]
    seen: dict[Path, str] = {}
    for choice, ids in zip(choices, found, strict=True):
        if not ids or tuple(ids) in seen:
            problem = f"the same tokens as {seen[tuple(ids)]!r}" if ids else "no tokens"
            raise DataError(f"the choice {choice!r} has {problem}: choices must differ. The question: {prompt!r:.80}")
        seen[tuple(ids)] = choice
    return found
