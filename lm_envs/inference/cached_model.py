"""A frozen causal language model of transformers that keeps keys and values in slots."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn

from lm_envs.errors import ConfigurationError, ModelError
from lm_envs.inference.fast_linear import speed_up
from lm_envs.inference.output_layer import OutputLayer, find_output_layer
from lm_envs.inference.slot_attention import SLOT_ATTENTION
from lm_envs.inference.slot_cache import SlotCache, SlotPass
from lm_envs.models import load_language_model
from lm_envs.models.quantization import load_quantized, quantized_tensors

DTYPES = {"float32": th.float32, "bfloat16": th.bfloat16}
PROBE_TOLERANCE = {th.float32: 1e-3, th.bfloat16: 0.25}
QUANTIZED_TOLERANCE = 0.25  # with 8 bits, inputs of layers are rounded: a small difference may become a large one


class CachedLanguageModel(nn.Module):
    """A causal language model of transformers that shares its weights and keeps keys and values in slots.

    Frozen weights are not copied: they stay the tensors of the instance that :func:`lm_envs.load_language_model`
    shares, so any number of environments, wrappers and policies hold a model once.

    Args:
        name: Alias, hub id or folder, as for :func:`lm_envs.load_language_model`.
        dtype: ``"float32"`` or ``"bfloat16"``, the precision that the model computes in.
        device: Where it runs.
        own: Given the shared model, the names of the parameters that this instance needs for itself; None: none.
        trust_remote_code: Run code that comes with the model. Only for models that you trust.
        quantization: ``"4bit"`` or ``"8bit"``, how the frozen weights are kept; None: in ``dtype``.

    Raises:
        ConfigurationError: For an unknown ``dtype``.
        ModelError: If the model cannot be loaded, or its output layer is of a kind that is not understood.
    """

    def __init__(
        self,
        name: str,
        dtype: str = "float32",
        device: th.device | str = "cpu",
        own: Callable[[nn.Module], Collection[str]] | None = None,
        *,
        trust_remote_code: bool = False,
        quantization: str | None = None,
    ) -> None:
        super().__init__()
        if dtype not in DTYPES:
            raise ConfigurationError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}.")
        self.compute_dtype = DTYPES[dtype]
        self.quantization = quantization
        source = self._load(name, str(device), dtype, trust_remote_code)
        copied = () if own is None else own(source)
        shared = {id(p): nn.Parameter(p.data, False) for n, p in source.named_parameters() if n not in copied}
        if quantization is not None:
            shared |= quantized_tensors(source)
        # load_language_model remembers the instance only while somebody holds it; in a tuple it is no submodule
        self._source = (source,) if shared else ()
        self.lm = copy.deepcopy(source, shared)  # which also adds to the mapping
        self.lm.set_attn_implementation(SLOT_ATTENTION)
        speed_up(self.lm)
        self.body = self.lm.base_model
        self.body.warn_if_padding_and_no_attention_mask = _no_warning
        self._layer = find_output_layer(self.lm, name)
        self._check_against_plain_forward(source, name)

    def _load(self, name: str, device: str, dtype: str, trust_remote_code: bool) -> Any:
        if self.quantization is None:
            return load_language_model(name, device, dtype, trust_remote_code=trust_remote_code)
        return load_quantized(name, device, dtype, self.quantization, trust_remote_code=trust_remote_code)

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return self._layer.weight.shape[1]

    @property
    def vocab_size(self) -> int:
        """Number of token actions: rows of the output layer."""
        return self._layer.weight.shape[0]

    @property
    def output_layer(self) -> OutputLayer:
        """The layer from hidden states to logits, at the current weights."""
        self.refresh()
        last = self.lm.get_output_embeddings()
        return replace(self._layer, weight=last.weight, bias=last.bias)

    def refresh(self) -> None:
        """Bring the weights that the model computes with up to date; a frozen model's are."""

    def forward(self, input_ids: th.Tensor) -> th.Tensor:
        """Hidden states of right-padded rows, in one teacher-forced pass without a cache.

        Args:
            input_ids: ``(n_rows, n_tokens)`` integer tokens. No mask: attention is causal, so padding that comes
                after a token cannot reach it.

        Returns:
            ``(n_rows, n_tokens, hidden_size)`` in the compute dtype, after the final norm.
        """
        self.refresh()
        return self.body(input_ids=input_ids.long(), use_cache=False).last_hidden_state

    def last_hidden(
        self,
        cache: SlotCache,
        input_ids: th.Tensor,
        attention_mask: th.Tensor,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> th.Tensor:
        """Hidden state of each slot's last token; only tokens that the cache has not seen are computed.

        Args:
            cache: The slots; must be cleared by the caller when weights change.
            input_ids: ``(n, n_columns)`` integer tokens, right-padded; ``n_columns`` is at most the capacity.
            attention_mask: Of the same shape, 1 for tokens.
            rows: ``(n,)``, which slots these are, each once; the others cost nothing. None: all of them, in order.

        Returns:
            ``(n, hidden_size)`` in the compute dtype.
        """
        *_, (slots, hidden) = self.new_hidden(cache, input_ids, attention_mask, rows)
        return hidden[: slots.n_decode]

    def new_hidden(
        self,
        cache: SlotCache,
        input_ids: th.Tensor,
        attention_mask: th.Tensor,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[SlotPass, th.Tensor]]:
        """Hidden states of the tokens that the cache has not seen, and of each slot's last token, pass by pass.

        Args:
            cache: See :meth:`last_hidden`, as for the other arguments.
            input_ids: ``(n, n_columns)``.
            attention_mask: ``(n, n_columns)``.
            rows: ``(n,)`` or None.

        Yields:
            A pass and its hidden states ``(n_tokens, hidden_size)``: those of the slots' last tokens, in the last
            pass, and behind them those of the prefilled block. All passes must be run.
        """
        self.refresh()
        try:
            for slots in cache.plan(input_ids, attention_mask, rows):
                yield slots, self.run_pass(slots)
        except BaseException:  # interrupted: the plan counts tokens as cached whose keys were never written
            cache.clear()
            raise

    def run_pass(self, slots: SlotPass) -> th.Tensor:
        """Hidden states ``(n_tokens, hidden_size)`` of a planned pass, with the weights as :meth:`refresh` left them.

        Args:
            slots: The pass; what it computes goes into its cache.
        """
        output = self.body(input_ids=slots.input_ids, position_ids=slots.position_ids, use_cache=False, slots=slots)
        return output.last_hidden_state[0]

    @th.no_grad()
    def _check_against_plain_forward(self, source: nn.Module, name: str) -> None:
        """Compare both ways of running the model with transformers' own forward pass, once, on a few tokens."""
        ids = th.arange(1, 9, device=self._layer.weight.device).remainder(self.vocab_size).view(2, 4)
        plain = source(input_ids=ids, use_cache=False).logits.float()
        packed = self.output_layer.logits(self(ids).flatten(0, 1)).view_as(plain)
        cache = SlotCache(2, 4, ids.device)
        self.last_hidden(cache, ids, th.tensor([[1, 1, 0, 0], [1, 1, 1, 0]]))
        cached = self.output_layer.logits(self.last_hidden(cache, ids, th.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])))
        expected = plain[[0, 1], [2, 3]]
        error = max(float((packed - plain).abs().max()), float((cached - expected).abs().max()))
        tolerance = QUANTIZED_TOLERANCE if self.quantization else PROBE_TOLERANCE[self.compute_dtype]
        if not error <= tolerance * max(1.0, float(plain.abs().max())):
            raise ModelError(
                f"the model {name!r} ({type(self.lm).__name__}) gives other logits through the slot cache than through "
                f"its own forward pass (largest difference {error:.2g}). Its architecture does something between "
                "attention and output layer that this policy does not know. Use another model."
            )


def _no_warning(*_: Any) -> None:
    """In the place of transformers' look for a forgotten mask, which reads tokens back from the device in each pass."""
