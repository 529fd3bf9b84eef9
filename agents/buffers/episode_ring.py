"""Episodes of tokens in one flat ring: each token and what belongs to its transition stored once, oldest out first.

A *segment* is a stretch of an episode in which every observation extends the one before it; an episode is one
segment unless the environment drops or rewrites earlier tokens. All columns share one index: at the position of the
last token of an observation stand the action taken there and its reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

TABLE = np.dtype(
    [
        ("start", np.int64),  # index of the first token
        ("n_tokens", np.int64),
        ("n_after", np.int64),  # tokens of the observation after a break, stored behind the segment
        ("n_transitions", np.int64),
        ("terminated", np.bool_),  # whether there is nothing to bootstrap from after the last transition
        ("priority", np.float64),
    ]
)


class EpisodeRing:
    """Segments in flat arrays, first in, first out.

    The first ``capacity`` places are the ring of finished segments; behind it every environment has ``row_tokens``
    places for the segment that it is in.

    Args:
        capacity: Tokens of finished segments.
        n_envs: Number of environments.
        row_tokens: Longest observation in tokens.
        columns: Further columns: dtype and shape of an entry, by name.

    Attributes:
        tokens: ``(n,)`` int32.
        decides: ``(n,)`` bool, whether an action was taken after the token.
        columns: ``(n, ...)`` each, by name.
        n_transitions: Number of transitions in finished segments.
        full: Whether segments had to be dropped.
    """

    def __init__(
        self, capacity: int, n_envs: int, row_tokens: int, columns: Mapping[str, tuple[Any, tuple[int, ...]]]
    ) -> None:
        self.capacity = capacity
        self.row_tokens = row_tokens
        n = capacity + n_envs * row_tokens
        self.tokens = np.zeros(n, dtype=np.int32)  # zeros are free until they are written
        self.decides = np.zeros(n, dtype=np.bool_)
        self.columns = {name: np.zeros((n, *shape), dtype=dtype) for name, (dtype, shape) in columns.items()}
        self._table = np.zeros(1024, dtype=TABLE)  # a ring, too: segments [_first, _first + _count)
        self._first = 0
        self._count = 0
        self._end = 0  # where the next segment is written
        self.n_transitions = 0
        self.full = False
        self._running = np.zeros(n_envs, dtype=TABLE)
        self._running["start"] = capacity + np.arange(n_envs) * row_tokens

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the part of the ring that was never written."""
        used = np.r_[: self._written(), self.capacity : len(self.tokens)]
        columns = {name: column[used] for name, column in self.columns.items()}
        return {**self.__dict__, "tokens": self.tokens[used], "decides": self.decides[used], "columns": columns}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bring the arrays back to their full size."""
        self.__dict__.update(state)
        used = np.r_[: self._written(), self.capacity : self.capacity + len(self._running) * self.row_tokens]
        self.tokens, self.decides = self._grown(self.tokens, used), self._grown(self.decides, used)
        self.columns = {name: self._grown(column, used) for name, column in self.columns.items()}

    def _written(self) -> int:
        """Length of the part of the ring that has been written."""
        return self.capacity if self.full else self._end

    def _grown(self, values: np.ndarray, places: np.ndarray) -> np.ndarray:
        grown = np.zeros((self.capacity + len(self._running) * self.row_tokens, *values.shape[1:]), dtype=values.dtype)
        grown[places] = values
        return grown

    @property
    def running(self) -> np.ndarray:
        """The segments under way, ``(n_envs,)`` records of :data:`TABLE`; without tokens: none."""
        return self._running

    @property
    def n_segments(self) -> int:
        """Number of finished segments."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Memory in bytes, once every place has been written."""
        arrays = (self.tokens, self.decides, self._table, self._running, *self.columns.values())
        return sum(array.nbytes for array in arrays)

    def finished(self, numbers: np.ndarray) -> np.ndarray:
        """Records of finished segments ``(k,)``, number 0 being the oldest. A copy: see :meth:`set_priorities`."""
        return self._table[(self._first + numbers) % len(self._table)]

    def set_priorities(self, numbers: np.ndarray, priorities: np.ndarray) -> None:
        """Set the priorities of finished segments, both ``(k,)``."""
        self._table["priority"][(self._first + numbers) % len(self._table)] = priorities

    # -- running segments -------------------------------------------------------------------------------------------

    def begin(self, env: int, tokens: np.ndarray) -> None:
        """Begin a segment with the tokens of its first observation."""
        record = self._running[env]
        place = slice(record["start"], record["start"] + len(tokens))
        self.tokens[place] = tokens
        self.decides[place] = False
        record["n_tokens"], record["n_transitions"] = len(tokens), 0

    def append(self, env: int, tokens: np.ndarray) -> None:
        """Add the tokens by which the next observation extends the last one."""
        record = self._running[env]
        stop = record["start"] + record["n_tokens"]
        self.tokens[stop : stop + len(tokens)] = tokens
        self.decides[stop : stop + len(tokens)] = False
        record["n_tokens"] += len(tokens)

    def append_one(self, envs: np.ndarray, tokens: np.ndarray) -> None:
        """Add one token to the segments of several environments; both ``(k,)``."""
        place = self._running["start"][envs] + self._running["n_tokens"][envs]
        self.tokens[place] = tokens
        self.decides[place] = False
        self._running["n_tokens"][envs] += 1

    def last_places(self) -> np.ndarray:
        """Index of the last token of every running segment, ``(n_envs,)``; meaningless for one without tokens."""
        return self._running["start"] + self._running["n_tokens"] - 1

    def decide(self, places: np.ndarray) -> None:
        """Mark that each environment took an action at its last token."""
        self.decides[places] = True
        self._running["n_transitions"] += 1

    def finish(self, env: int, terminated: bool, priority: float, after: np.ndarray | None = None) -> int:
        """Move a running segment into the ring, dropping the oldest ones where room is needed.

        Args:
            env: Whose.
            terminated: Whether the episode is over, so that its last transition has no next state.
            priority: Its priority.
            after: Tokens of the observation that follows, where it does not extend the last one.

        Returns:
            Index of the last token that was written.
        """
        record = self._running[env].copy()
        n_tokens, begin = int(record["n_tokens"]), int(record["start"])
        record["n_after"] = 0 if after is None else len(after)
        record["terminated"], record["priority"] = terminated, priority
        start = self._reserve(n_tokens + int(record["n_after"]))
        for column in (self.tokens, self.decides, *self.columns.values()):
            column[start : start + n_tokens] = column[begin : begin + n_tokens]
        if after is not None:
            self.tokens[start + n_tokens : self._end] = after
            self.decides[start + n_tokens : self._end] = False
        record["start"] = start
        self._add(record)
        self._running[env]["n_tokens"] = self._running[env]["n_transitions"] = 0
        return self._end - 1

    def _reserve(self, size: int) -> int:
        """Where ``size`` tokens can be written; the segments that lie there are dropped."""
        start = self._end if self._end + size <= self.capacity else 0
        if start != self._end:
            self._drop_overlapping(self._end, self.capacity)
        self._drop_overlapping(start, start + size)
        self._end = start + size
        return start

    def _drop_overlapping(self, start: int, stop: int) -> None:
        while self._count:
            oldest = self._table[self._first]
            oldest_stop = oldest["start"] + oldest["n_tokens"] + oldest["n_after"]
            if oldest["start"] >= stop or oldest_stop <= start:
                return
            self.n_transitions -= int(oldest["n_transitions"])
            self._first = (self._first + 1) % len(self._table)
            self._count -= 1
            self.full = True

    def _add(self, record: np.void) -> None:
        if self._count == len(self._table):
            ordered = self.finished(np.arange(self._count))
            self._table = np.concatenate([ordered, np.zeros_like(ordered)])
            self._first = 0
        self._table[(self._first + self._count) % len(self._table)] = record
        self._count += 1
        self.n_transitions += int(record["n_transitions"])
