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
from lm_envs.wrappers.rows import Batch


class _Pass(NamedTuple):
    """A batch of observations, the hidden state after each row's last token, and the mean over all its tokens."""

    input_ids: npt.NDArray[Any]
    attention_mask: npt.NDArray[Any]
    last: th.Tensor
    mean: th.Tensor | None


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
    _states: th.Tensor | None  # (n_rows, capacity, hidden_size), of all tokens so far
    _passes: deque[_Pass]

    def __init__(
        self, model: str, vocabulary: Vocabulary, n_rows: int, capacity: int, dtype: str, device: Any = None
    ) -> None:
        self.key = self.make_key(model, dtype, device)
        self.n_rows = n_rows
        self.capacity = capacity
        self._keeps_all = False
        self._forget()
        self._check(vocabulary)

    @staticmethod
    def make_key(model: str, dtype: str, device: Any) -> tuple[str, str, str]:
        """What two wrappers must agree in to share a model."""
        return model, dtype, "auto" if device is None else str(device)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out weights, cache and what was computed with them."""
        names = ("key", "n_rows", "capacity", "_keeps_all")
        return {name: self.__dict__[name] for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def lm(self) -> CachedLanguageModel:
        """The model, with the weights that the process shares."""
        if self._lm is None:
            name, dtype, device = self.key
            self._lm = CachedLanguageModel(name, dtype=dtype, device=device)
        return self._lm

    @property
    def cache(self) -> SlotCache:
        """Keys and values of the rows."""
        if self._cache is None:
            self._cache = SlotCache(self.n_rows, self.capacity, self.lm.output_layer.weight.device)
        return self._cache

    def keep_all(self) -> None:
        """Keep the hidden states of all tokens from now on, which :meth:`mean_hidden` needs."""
        if not self._keeps_all:
            self._keeps_all = True
            self._passes.clear()
            self.cache.clear()

    def last_hidden(self, obs: Batch) -> th.Tensor:
        """The hidden state after each row's last token, ``(n_rows, hidden_size)`` in the model's dtype.

        Args:
            obs: ``input_ids`` and ``attention_mask``, each ``(n_rows, capacity)``.
        """
        return self._pass(obs).last

    def mean_hidden(self, obs: Batch) -> th.Tensor:
        """The mean of the hidden states of each row's tokens, ``(n_rows, hidden_size)`` float32; see keep_all."""
        mean = self._pass(obs).mean
        assert mean is not None
        return mean

    def logits(self, obs: Batch) -> th.Tensor:
        """Float32 logits of each row's next token, ``(n_rows, vocab_size)``."""
        with th.inference_mode():
            return self.lm.output_layer.logits(self.last_hidden(obs))

    @th.inference_mode()
    def _pass(self, obs: Batch) -> _Pass:
        ids, mask = obs["input_ids"], obs["attention_mask"]
        for known in self._passes:
            if np.array_equal(known.input_ids, ids) and np.array_equal(known.attention_mask, mask):
                return known
        tokens = th.as_tensor(ids), th.as_tensor(mask)
        if self._keeps_all:
            result = _Pass(ids.copy(), mask.copy(), *self._all_hidden(*tokens))
        else:
            result = _Pass(ids.copy(), mask.copy(), self.lm.last_hidden(self.cache, *tokens), None)
        self._passes.append(result)
        return result

    def _all_hidden(self, input_ids: th.Tensor, attention_mask: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """The last and the mean hidden states; keeps those of the new tokens."""
        for slots, hidden in self.lm.new_hidden(self.cache, input_ids, attention_mask):
            if self._states is None:
                self._states = hidden.new_zeros(self.n_rows, self.capacity, hidden.shape[-1])
            n = slots.n_decode
            if slots.prefill is not None:
                rows, positions = slots.prefill.rows, slots.prefill.positions
                self._states[rows[:, None], positions] = hidden[n:].unflatten(0, positions.shape)
            if n:  # after the prefill, whose padding may have touched these positions
                self._states[slots.rows, slots.last_position] = hidden[:n]
        assert self._states is not None
        weights = attention_mask.to(self._states.device, th.float32)
        sums = th.einsum("rth,rt->rh", self._states.float(), weights)
        return hidden[: self.n_rows], sums / weights.sum(dim=1, keepdim=True)

    def _forget(self) -> None:
        self._lm = None
        self._cache = None
        self._states = None
        self._passes = deque(maxlen=2)

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
