"""Answers that can only be one of the choices: a trie of their tokens tells which token may come next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lm_envs.errors import DataError
from lm_envs.legal_actions import LegalActions
from lm_envs.qa.questions import Question
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
        self._vocabulary = vocabulary
        self._tries: list[ChoiceTrie | None] = [None] * num_rows

    def begin(self, row: int, prompt: str, choices: tuple[str, ...]) -> None:
        """A new question in ``row``; raises a DataError for choices that are not told apart by their tokens."""
        self._tries[row] = _trie(self._vocabulary, written_choices(prompt, choices))

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


def check_choices(vocabulary: Vocabulary, questions: Sequence[Question]) -> None:
    """Check that the choices of each question have different tokens.

    Raises:
        DataError: A choice has no tokens, or two choices have the same.
    """
    written = [written_choices(question.prompt, question.choices) for question in questions]
    texts = list(dict.fromkeys(text for choices in written for text in choices))
    ids = dict(zip(texts, _tokens(vocabulary, texts), strict=True))
    for number, choices in enumerate(written):
        _check_different(choices, [ids[text] for text in choices], f"question {number}")


def written_choices(prompt: str, choices: Sequence[str]) -> tuple[str, ...]:
    """The choices as they are written behind a prompt: with a space where the prompt ends without one."""
    space = " " if prompt[-1:].strip() else ""
    return tuple(f"{space}{choice}" for choice in choices)


@lru_cache(maxsize=4096)
def _trie(vocabulary: Vocabulary, written: tuple[str, ...]) -> ChoiceTrie:
    paths = _tokens(vocabulary, written)
    _check_different(written, paths, "the question that comes now")
    return ChoiceTrie(paths, vocabulary.eos_ids)


def _tokens(vocabulary: Vocabulary, texts: Sequence[str]) -> list[Path]:
    return [tuple(ids) for ids in vocabulary.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def _check_different(choices: Sequence[str], paths: Sequence[Path], place: str) -> None:
    seen: dict[Path, str] = {}
    for choice, path in zip(choices, paths, strict=True):
        if not path or path in seen:
            problem = f"the same tokens as {seen[path]!r}" if path else "no tokens"
            raise DataError(
                f"the choice {choice!r} of {place} has {problem} in the model's vocabulary; with constrain=True "
                f"choices have to differ in their tokens. Change it, or take actions='choice'. All: {choices!r:.80}"
            )
        seen[path] = choice
