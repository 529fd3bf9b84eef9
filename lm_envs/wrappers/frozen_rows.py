"""A frozen language model beside an environment's rows: it reads each token once and shares what it computed."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch as th

from lm_envs.errors import ConfigurationError, ModelError
from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.inference.slot_cache import SlotCache
from lm_envs.vocabulary import Vocabulary


class _Pass(NamedTuple):
    """A batch of observations and the hidden state after each row's last token, ``(n_rows, hidden_size)``."""

    input_ids: npt.NDArray[Any]
    attention_mask: npt.NDArray[Any]
    last: th.Tensor


class FrozenRows:
    """Hidden states of ``n_rows`` growing token sequences.

    Wrappers of one environment that use the same model share one of these. The last two batches are remembered, so
    that the second wrapper gets what the first one computed in the same step: for the final observations and for the
    observations that the next action is chosen by.

    Copies and pickles leave out weights and cache; they are there again with the first use.

    Args:
        model: Alias, hub id or folder.
        vocabulary: The environment's tokens; the model must have as many.
        n_rows: Number of environments.
        capacity: Length of an observation in tokens.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: Where the model runs; None for a GPU if there is one.

    Raises:
        ConfigurationError: Unknown ``dtype``, or observations are longer than what the model was built for.
        ModelError: The model cannot be loaded, or has another number of tokens than the environment's.
    """

    _lm: CachedLanguageModel | None
    _cache: SlotCache | None

    def __init__(
        self, model: str, vocabulary: Vocabulary, n_rows: int, capacity: int, dtype: str, device: Any = None
    ) -> None:
        self.key = (model, dtype, None if device is None else str(device))
        self.n_rows = n_rows
        self.capacity = capacity
        self._forget()
        self._check(vocabulary)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out weights, cache and what was computed with them."""
        return {"key": self.key, "n_rows": self.n_rows, "capacity": self.capacity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def lm(self) -> CachedLanguageModel:
        """The model, with the weights that the process shares."""
        if self._lm is None:
            name, dtype, device = self.key
            self._lm = CachedLanguageModel(name, dtype=dtype, device="auto" if device is None else device)
        return self._lm

    @property
    def cache(self) -> SlotCache:
        """Keys and values of the rows."""
        if self._cache is None:
            self._cache = SlotCache(self.n_rows, self.capacity, self.lm.output_layer.weight.device)
        return self._cache

    @th.inference_mode()
    def last_hidden(self, obs: dict[str, npt.NDArray[Any]]) -> th.Tensor:
        """The hidden state after each row's last token, ``(n_rows, hidden_size)`` in the model's dtype.

        Args:
            obs: ``input_ids`` and ``attention_mask``, each ``(n_rows, capacity)``.
        """
        ids, mask = obs["input_ids"], obs["attention_mask"]
        for known in self._passes:
            if np.array_equal(known.input_ids, ids) and np.array_equal(known.attention_mask, mask):
                return known.last
        last = self.lm.last_hidden(self.cache, th.as_tensor(ids), th.as_tensor(mask))
        self._passes.append(_Pass(ids.copy(), mask.copy(), last))
        return last

    def logits(self, obs: dict[str, npt.NDArray[Any]]) -> th.Tensor:
        """Float32 logits of each row's next token, ``(n_rows, vocab_size)``."""
        with th.inference_mode():
            return self.lm.output_layer.logits(self.last_hidden(obs))

    def _forget(self) -> None:
        self._lm = None
        self._cache = None
        self._passes: deque[_Pass] = deque(maxlen=2)

    def _check(self, vocabulary: Vocabulary) -> None:
        name, size = self.key[0], self.lm.vocab_size
        if size != vocabulary.size:
            raise ModelError(
                f"the model {name!r} predicts {size} tokens, the environment's model {vocabulary.model!r} has "
                f"{vocabulary.size}: their tokens do not mean the same. Use a model with the environment's "
                f"tokenizer, or make the environment with model={name!r}"
            )
        limit = getattr(self.lm.lm.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and self.capacity > limit:
            raise ConfigurationError(
                f"observations have {self.capacity} tokens, more than the {limit} positions of model {name!r}: "
                "lower max_prompt_tokens or max_new_tokens, or choose a model with a longer context"
            )
