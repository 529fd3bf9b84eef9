"""A pretrained language model inside of a policy: what is trained, in which precision, and how it is run."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator

import torch as th
from torch import nn

from agents.fast_linear import speed_up
from agents.slot_attention import SLOT_ATTENTION
from agents.slot_cache import SlotCache
from agents.token_log_probs import OutputLayer
from lm_envs.errors import ConfigurationError, ModelError
from lm_envs.models import load_language_model

DTYPES = {"float32": th.float32, "bfloat16": th.bfloat16}
PROBE_TOLERANCE = {th.float32: 1e-3, th.bfloat16: 0.25}


class LanguageModel(nn.Module):
    """A causal language model of transformers that shares its frozen weights and keeps keys and values in slots.

    Weights that are not trained are not copied: they stay the tensors of the instance that
    :func:`lm_envs.load_language_model` shares. Trained weights are kept in float32; with ``dtype="bfloat16"`` the
    model computes on bfloat16 copies, whose gradients are handed to the float32 weights as they arrive
    (learning rates of 1e-6 would vanish in bfloat16).

    Args:
        name: Alias, hub id or folder, as for :func:`lm_envs.load_language_model`.
        trainable: ``"all"``, ``"top:N"`` (the last N layers and the final norm), or ``"heads"`` (nothing in here).
        dtype: ``"float32"`` or ``"bfloat16"``, the precision that the model computes in.
        device: Where it runs.

    Raises:
        ConfigurationError: For an unknown ``trainable`` or ``dtype``, or more layers than there are.
        ModelError: If the model cannot be loaded, or its output layer is of a kind that is not understood.
    """

    def __init__(self, name: str, trainable: str = "all", dtype: str = "float32", device: th.device | str = "cpu"):
        super().__init__()
        if dtype not in DTYPES:
            raise ConfigurationError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}.")
        self.compute_dtype = DTYPES[dtype]
        source = load_language_model(name, device=str(device), dtype=dtype)
        trained = _trainable_names(source, trainable)
        shared = {id(p): nn.Parameter(p.data, False) for n, p in source.named_parameters() if n not in trained}
        self.lm = copy.deepcopy(source, shared)
        self.lm.set_attn_implementation(SLOT_ATTENTION)
        speed_up(self.lm)
        self.body = self.lm.base_model
        self.master: dict[str, nn.Parameter] = nn.ParameterDict()  # type: ignore[assignment]
        self._compute: dict[str, nn.Parameter] = {}
        self._make_trainable(name, trained, device)
        self._own = tuple(self._find_own_parameters())
        self._changes = 0
        self._version = -1
        self._layer = _output_layer(self.lm, name)
        self._check_against_plain_forward(source, name)

    def _make_trainable(self, name: str, trained: set[str], device: th.device | str) -> None:
        """Mark what is trained; in reduced precision, keep its float32 original beside it."""
        if self.compute_dtype == th.float32 or not trained:
            for key, parameter in self.lm.named_parameters():
                parameter.requires_grad_(key in trained)
            return
        original = dict(load_language_model(name, device=str(device), dtype="float32").named_parameters())
        for key, parameter in self.lm.named_parameters():
            if key in trained:
                slot = key.replace(".", "/")
                self.master[slot] = nn.Parameter(original[key].detach().clone())
                parameter.requires_grad_(True)
                self._compute[slot] = parameter
                parameter.register_post_accumulate_grad_hook(self._gradient_to(slot))

    def _gradient_to(self, slot: str) -> Callable[[th.Tensor], None]:
        def move(parameter: th.Tensor) -> None:
            master = self.master[slot]
            grad = parameter.grad.float()  # type: ignore[union-attr]
            master.grad = grad if master.grad is None else master.grad.add_(grad)
            parameter.grad = None

        return move

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
        return self._layer

    def own_parameters(self) -> tuple[tuple[str, nn.Parameter], ...]:
        """Names and float32 tensors of what is trained and saved."""
        return self._own

    def _find_own_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        compute = {id(p) for p in self._compute.values()}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad and id(parameter) not in compute:
                yield name, parameter

    def train(self, mode: bool = True) -> LanguageModel:
        """Stay in evaluation mode: dropout would make PPO's first ratio differ from 1."""
        return super().train(False)

    def version(self) -> int:
        """A number that changes whenever a trained weight is written in place, or :meth:`mark_changed` is called."""
        return self._changes + sum(parameter._version for _, parameter in self._own)

    def mark_changed(self) -> None:
        """Say that weights were written in a way that leaves no trace, as fused optimizers do."""
        self._changes += 1

    def refresh(self) -> None:
        """Copy changed float32 weights into their bfloat16 twins."""
        if self._compute and (version := self.version()) != self._version:
            with th.no_grad():
                for slot, parameter in self._compute.items():
                    parameter.copy_(self.master[slot])
            self._version = version

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

    def last_hidden(self, cache: SlotCache, input_ids: th.Tensor, attention_mask: th.Tensor) -> th.Tensor:
        """Hidden state of each slot's last token; only tokens that the cache has not seen are computed.

        Args:
            cache: The slots; must be cleared by the caller when weights change.
            input_ids: ``(n_slots, capacity)`` integer tokens, right-padded.
            attention_mask: ``(n_slots, capacity)``, 1 for tokens.

        Returns:
            ``(n_slots, hidden_size)`` in the compute dtype.
        """
        self.refresh()
        try:
            for slots in cache.plan(input_ids, attention_mask):
                output = self.body(
                    input_ids=slots.input_ids, position_ids=slots.position_ids, use_cache=False, slots=slots
                )
        except BaseException:  # interrupted: the plan counts tokens as cached whose keys were never written
            cache.clear()
            raise
        return output.last_hidden_state[0, : cache.n_slots]

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
        if not error <= PROBE_TOLERANCE[self.compute_dtype] * max(1.0, float(plain.abs().max())):
            raise ModelError(
                f"the model {name!r} ({type(self.lm).__name__}) gives other logits through the slot cache than through "
                f"its own forward pass (largest difference {error:.2g}). Its architecture does something between "
                "attention and output layer that this policy does not know. Use another model."
            )


def _trainable_names(model: nn.Module, trainable: str) -> set[str]:
    """Names of the parameters that are trained."""
    if trainable == "all":
        return {name for name, _ in model.named_parameters()}
    if trainable == "heads":
        return set()
    match = re.fullmatch(r"top:(\d+)", trainable)
    if match is None:
        raise ConfigurationError(f"trainable must be 'all', 'top:N' (the last N layers) or 'heads'; got {trainable!r}.")
    layer_lists = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.ModuleList)]
    prefix, layers = max(layer_lists, key=lambda pair: len(pair[1]))
    count = int(match[1])
    if not 1 <= count <= len(layers):
        raise ConfigurationError(f"trainable={trainable!r}: the model has {len(layers)} layers; N must be 1 to that.")
    first = len(layers) - count
    layer_of = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    trained = set()
    for name, parameter in model.named_parameters():
        found = layer_of.match(name)
        final_norm = found is None and parameter.ndim == 1  # outside of the layers, only norms are vectors
        if final_norm or (found and int(found[1]) >= first):
            trained.add(name)
    return trained


def _output_layer(model: nn.Module, name: str) -> OutputLayer:
    """Find the last linear layer and the family's treatment of the logits."""
    layer = model.get_output_embeddings()  # type: ignore[operator]
    if not isinstance(layer, nn.Linear):
        raise ModelError(
            f"the model {name!r} has no linear output layer over its vocabulary, but {type(layer).__name__}."
        )
    config = model.config
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return OutputLayer(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None))
