"""A frozen language model that writes turns of many conversations in one batch, and reads each token once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th

from lm_envs.errors import ConfigurationError
from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.inference.sampling import draw_tokens
from lm_envs.inference.slot_cache import SlotCache
from lm_envs.vocabulary import Vocabulary

IntArray = npt.NDArray[np.int64]


class TurnWriter:
    """Writes turns for any of ``num_rows`` token sequences, keys and values of which stay between the calls.

    A call computes what is new since the row's last one, such as the other speaker's turn, and the tokens that it
    writes. Rows that write nothing, or have ended their turn, cost nothing. Each row draws from its own random numbers,
    so that what it writes does not depend on the rows beside it, but for the rounding of batched sums.

    Copies and pickles leave out weights and cache; they are there again with the first use.

    Args:
        vocabulary: The model's tokens; its name is the model's.
        num_rows: Number of sequences.
        capacity: Longest sequence in tokens, the turn being written included.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: Where the model runs.

    Raises:
        ConfigurationError: Unknown ``dtype``, or a ``capacity`` beyond what the model was built for.
        ModelError: The model cannot be loaded.
    """

    _lm: CachedLanguageModel | None
    _cache: SlotCache | None

    def __init__(
        self,
        vocabulary: Vocabulary,
        num_rows: int,
        capacity: int,
        dtype: str = "float32",
        device: th.device | str = "cpu",
    ) -> None:
        if vocabulary.max_positions is not None and capacity > vocabulary.max_positions:
            raise ConfigurationError(
                f"a conversation of {capacity} tokens is longer than the {vocabulary.max_positions} positions of model "
                f"{vocabulary.model!r}: lower max_tokens, or choose a model with a longer context"
            )
        self.vocabulary = vocabulary
        self.num_rows = num_rows
        self.capacity = capacity
        self.dtype = dtype
        self.device = str(device)
        self._forget()
        self.lm  # noqa: B018  # a model that cannot be loaded is reported here, not in the first conversation

    def __getstate__(self) -> dict[str, Any]:
        """Leave out weights and cache."""
        return {name: value for name, value in vars(self).items() if name not in ("_lm", "_cache")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def lm(self) -> CachedLanguageModel:
        """The model, with the weights that the process shares."""
        if self._lm is None:
            trusted = self.vocabulary.trust_remote_code
            self._lm = CachedLanguageModel(self.vocabulary.model, self.dtype, self.device, trust_remote_code=trusted)
        return self._lm

    @property
    def cache(self) -> SlotCache:
        """Keys and values of the rows."""
        if self._cache is None:
            self._cache = SlotCache(self.num_rows, self.capacity, self.lm.output_layer.weight.device)
        return self._cache

    def write(
        self,
        rows: Sequence[int],
        token_ids: Sequence[npt.ArrayLike],
        rngs: Sequence[np.random.Generator],
        max_new_tokens: int,
        stop_ids: Sequence[int],
        temperature: float = 1.0,
        top_p: float = 1.0,
    ) -> list[IntArray]:
        """Write one turn in each of some rows.

        Args:
            rows: Which, each once.
            token_ids: Each row's whole conversation so far, with the tokens that ask for the turn.
            rngs: Each row's random numbers; one is drawn for each token.
            max_new_tokens: The longest turn.
            stop_ids: Tokens that end a turn.
            temperature: Of the distribution that tokens are drawn from; 0 takes the most probable token.
            top_p: Share of the probability that tokens are drawn from; see
                :func:`~lm_envs.inference.sampling.draw_tokens`.

        Returns:
            The new tokens of each row, the one that ended the turn left out; may be empty.

        Raises:
            ConfigurationError: A conversation has no room left for a turn.
        """
        if not rows:
            return []
        starts = np.array([len(np.atleast_1d(ids)) for ids in token_ids], dtype=np.int64)
        self._check_room(starts, max_new_tokens)
        lengths = starts.copy()
        tokens = np.zeros((len(rows), int(starts.max()) + max_new_tokens), dtype=np.int64)
        for i, ids in enumerate(token_ids):
            tokens[i, : starts[i]] = ids
        slots, stops = np.array(rows, dtype=np.int64), np.array(list(stop_ids), dtype=np.int64)
        writing = np.arange(len(rows))
        for _ in range(max_new_tokens):
            logits = self._logits(slots[writing], tokens[writing], lengths[writing])
            drawn = self._draw(logits, [rngs[i] for i in writing.tolist()], temperature, top_p)
            goes_on = ~np.isin(drawn, stops)
            writing, drawn = writing[goes_on], drawn[goes_on]
            if not writing.size:
                break
            tokens[writing, lengths[writing]] = drawn
            lengths[writing] += 1
        return [tokens[i, start:end].copy() for i, (start, end) in enumerate(zip(starts, lengths, strict=True))]

    def _logits(self, slots: IntArray, tokens: IntArray, lengths: IntArray) -> th.Tensor:
        """Float32 logits of the next token, ``(n, vocab_size)``."""
        lm, width = self.lm, int(lengths.max())
        mask = th.from_numpy(np.arange(width) < lengths[:, None])
        everybody = len(slots) == self.num_rows and bool((slots == np.arange(self.num_rows)).all())
        with th.inference_mode():
            ids = th.from_numpy(tokens[:, :width])
            return lm.output_layer.logits(lm.last_hidden(self.cache, ids, mask, None if everybody else slots))

    @staticmethod
    def _draw(
        logits: th.Tensor, rngs: Sequence[np.random.Generator], temperature: float, top_p: float
    ) -> npt.NDArray[np.int64]:
        uniform = th.tensor([rng.random(dtype=np.float32) for rng in rngs], device=logits.device)
        with th.inference_mode():
            drawn: npt.NDArray[np.int64] = draw_tokens(logits, uniform, temperature, top_p).cpu().numpy()
        return drawn

    def _check_room(self, lengths: IntArray, max_new_tokens: int) -> None:
        longest = int(lengths.max())
        if not lengths.all() or longest + max_new_tokens > self.capacity:
            raise ConfigurationError(
                f"expected conversations of 1 to {self.capacity - max_new_tokens} tokens, so that a turn of up to "
                f"{max_new_tokens} fits into {self.capacity}, got one of {int(lengths.min())} to {longest}: raise "
                "max_tokens or shorten the conversation"
            )

    def _forget(self) -> None:
        self._lm = None
        self._cache = None
