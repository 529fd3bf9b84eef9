"""The state of token-level episodes: two arrays, one row an environment, right-padded, append only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer]
Observation = dict[str, npt.NDArray[np.integer]]


class TokenState:
    """Prompt and completion tokens of ``num_rows`` episodes that run side by side.

    A row holds its prompt from column 0 on, directly followed by the tokens generated so far; the columns
    after them hold ``pad_id`` with attention 0. So an observation extends the one before it. In a conversation
    the prompt is all that came before the turn that the agent is writing, its completion.

    Attributes:
        input_ids: Token ids, ``(num_rows, max_tokens)`` int32.
        attention_mask: 1 where a token stands, 0 where padding does; same shape, int8.
        prompt_lengths: Number of prompt tokens, ``(num_rows,)`` int64.
        lengths: Number of tokens, prompt and completion, ``(num_rows,)`` int64.
    """

    def __init__(self, num_rows: int, max_tokens: int, pad_id: int) -> None:
        """Allocate the arrays; every row is empty until :meth:`start`.

        Args:
            num_rows: Number of episodes side by side.
            max_tokens: Room for prompt and completion together.
            pad_id: The id that fills unused columns.
        """
        shape = (num_rows, max_tokens)
        self.pad_id = pad_id
        self.input_ids = np.full(shape, pad_id, dtype=np.int32)
        self.attention_mask = np.zeros(shape, dtype=np.int8)
        self.prompt_lengths = np.zeros(num_rows, dtype=np.int64)
        self.lengths = np.zeros(num_rows, dtype=np.int64)
        self._all_rows = np.arange(num_rows)

    @property
    def new_lengths(self) -> npt.NDArray[np.int64]:
        """Number of generated tokens of each row, ``(num_rows,)`` int64."""
        return self.lengths - self.prompt_lengths

    def start(self, rows: IntArray, prompt_ids: IntArray, prompt_lengths: IntArray) -> None:
        """Begin new episodes in ``rows``.

        Args:
            rows: Which rows, ``(k,)``.
            prompt_ids: Their prompts, ``(k, width)`` with ``width <= max_tokens``; what stands
                beyond a prompt's length is ignored.
            prompt_lengths: ``(k,)``, each between 1 and ``width``.
        """
        width = prompt_ids.shape[1]
        inside = np.arange(width) < prompt_lengths[:, None]  # (k, width) bool
        self.input_ids[rows] = self.pad_id
        self.attention_mask[rows] = 0
        self.input_ids[rows, :width] = np.where(inside, prompt_ids, self.pad_id)
        self.attention_mask[rows, :width] = inside
        self.prompt_lengths[rows] = prompt_lengths
        self.lengths[rows] = prompt_lengths

    def append(self, actions: IntArray) -> None:
        """Append one token to every row; ``actions`` is ``(num_rows,)``, already checked."""
        self.input_ids[self._all_rows, self.lengths] = actions
        self.attention_mask[self._all_rows, self.lengths] = 1
        self.lengths += 1

    def extend(self, row: int, ids: Sequence[int] | IntArray) -> None:
        """Append tokens to one row."""
        length = self.lengths[row]
        place = slice(length, length + len(ids))
        self.input_ids[row, place] = ids
        self.attention_mask[row, place] = 1
        self.lengths[row] += len(ids)

    def begin_completion(self, row: int) -> None:
        """Make all tokens of a row its prompt."""
        self.prompt_lengths[row] = self.lengths[row]

    def prompt_ids(self, row: int) -> npt.NDArray[np.int32]:
        """The tokens of a row's prompt, a view."""
        return self.input_ids[row, : self.prompt_lengths[row]]

    def completion_ids(self, row: int) -> npt.NDArray[np.int32]:
        """The tokens generated so far in a row, a view."""
        return self.input_ids[row, self.prompt_lengths[row] : self.lengths[row]]

    def observation(self) -> Observation:
        """Fresh copies of the arrays of all rows."""
        return {"input_ids": self.input_ids.copy(), "attention_mask": self.attention_mask.copy()}

    def row_observation(self, row: int) -> Observation:
        """Fresh copies of one row's arrays, each ``(max_tokens,)``."""
        return {"input_ids": self.input_ids[row].copy(), "attention_mask": self.attention_mask[row].copy()}
