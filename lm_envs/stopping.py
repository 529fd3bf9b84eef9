"""When an episode ends: end-of-text token, stop string, or the token budget."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lm_envs.errors import ConfigurationError
from lm_envs.token_state import IntArray, TokenState
from lm_envs.vocabulary import Vocabulary

STOP_REASONS: tuple[str, ...] = ("", "eos", "stop", "max_new_tokens")
RUNNING, EOS, STOP, BUDGET = range(4)


class StopRule:
    """Tells, after each appended token, which rows have ended and why.

    The text of a row is looked at only when its new token holds the last character of a stop string: which
    tokens do is computed once over the vocabulary.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        strings: Sequence[str],
        max_new_tokens: int,
        min_new_tokens: int = 0,
        end_ids: Sequence[int] | None = None,
    ) -> None:
        """Prepare the lookups.

        Args:
            vocabulary: The model's tokens.
            strings: Stop strings, each at least one character.
            max_new_tokens: The token budget of an episode.
            min_new_tokens: An end-of-text token that follows fewer generated tokens ends nothing.
            end_ids: The tokens that end the text; None for the model's end-of-text tokens.
        """
        self.vocabulary = vocabulary
        self.strings = tuple(strings)
        self.max_new_tokens = max_new_tokens
        self.min_new_tokens = min_new_tokens
        self._is_eos = np.zeros(vocabulary.size, dtype=bool)
        self._is_eos[list(vocabulary.eos_ids if end_ids is None else end_ids)] = True
        self._may_complete: npt.NDArray[np.bool_] | None = None
        if self.strings:
            self._may_complete = completing_tokens(vocabulary, self.strings)
            # a token that is not silent gives at least one byte; one more, as a decoder may strip the first
            self._tail = 1 + max(len(string.encode()) for string in self.strings)

    def reasons(self, state: TokenState, actions: IntArray) -> npt.NDArray[np.int8]:
        """Code of each row's stop reason, an index into :data:`STOP_REASONS`; ``(num_rows,)`` int8.

        Args:
            state: The rows, ``actions`` already appended.
            actions: The tokens just appended, ``(num_rows,)``.
        """
        new_lengths = state.new_lengths
        over_budget = new_lengths >= self.max_new_tokens
        codes = np.where(over_budget, BUDGET, RUNNING).astype(np.int8)
        if self._may_complete is not None:
            candidates = np.flatnonzero(self._may_complete[actions])
            codes[candidates[self._tail_stops(state, candidates)]] = STOP
        # new_lengths counts the end-of-text token itself
        codes[self._is_eos[actions] & (new_lengths > self.min_new_tokens)] = EOS
        return codes

    def cut(self, text: str) -> str:
        """``text`` up to the first stop string in it."""
        found = [position for string in self.strings if (position := text.find(string)) >= 0]
        return text[: min(found)] if found else text

    def _tail_stops(self, state: TokenState, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Whether the last tokens of each of ``rows`` hold a stop string."""
        if not rows.size:
            return np.zeros(0, dtype=bool)
        is_silent = self.vocabulary.is_silent
        completions = [state.completion_ids(row) for row in rows]
        tails = [ids[~is_silent[ids]][-self._tail :].tolist() for ids in completions]
        texts = self.vocabulary.decode(tails)
        return np.array([any(string in text for string in self.strings) for text in texts])


def stop_strings(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """The argument ``stop`` as a tuple.

    Raises:
        ConfigurationError: It is neither a string nor a sequence of strings, or a string is empty.
    """
    if stop is None:
        return ()
    strings = tuple(stop) if isinstance(stop, Sequence) and not isinstance(stop, str) else (stop,)
    for string in strings:
        if not isinstance(string, str) or not string:
            raise ConfigurationError(
                f"stop must be a string or a list of strings, none of them empty, got {stop!r}; "
                "leave it out (None) to end episodes by end-of-text token and token budget alone"
            )
    return strings


@lru_cache(maxsize=16)
def completing_tokens(vocabulary: Vocabulary, strings: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which tokens may complete one of ``strings``: those whose text holds a string's last character.

    A token that is only a part of a character (byte-level vocabularies have some) may complete any character
    that takes several bytes.

    Returns:
        ``(vocabulary.size,)`` bool.
    """
    from lm_envs.models import token_texts

    wanted = {string[-1] for string in strings}
    if not all(character.isascii() for character in wanted):
        wanted.add("\N{REPLACEMENT CHARACTER}")
    may_complete = np.zeros(vocabulary.size, dtype=bool)
    for token, text in enumerate(token_texts(vocabulary.tokenizer)[: vocabulary.size]):
        may_complete[token] = not wanted.isdisjoint(text)
    return may_complete
