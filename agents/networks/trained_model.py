"""What all pretrained models inside of policies have in common: which weights are trained, and in which precision."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch as th
from torch import nn

from agents.networks.lora import adapter_layers, inject_adapter, switched_off
from lm_envs.errors import ConfigurationError


class TrainedModel(nn.Module):
    """A pretrained model of transformers of which some, all or none of the weights are trained.

    Weights that are not trained are shared. Trained weights are kept in float32; in bfloat16 the model computes on
    bfloat16 copies, whose gradients are handed to the float32 weights as they arrive (learning rates of 1e-6 would
    vanish in bfloat16). An adapter's weights are float32 themselves. The base class of causal language models and of
    encoders.

    Attributes:
        lm: The model of transformers.
        compute_dtype: The precision that it computes in.
        reads_ahead: Whether a token's hidden state depends on tokens that come after it.
        adapter_is_off: Whether this is the pretrained model for now, see :meth:`adapter_off`.
    """

    lm: Any
    compute_dtype: th.dtype
    reads_ahead = False
    adapter_is_off = False
    master: dict[str, nn.Parameter]
    _adapter_layers: tuple[Any, ...] = ()
    _compute: dict[str, nn.Parameter] = {}  # noqa: RUF012 - replaced, never filled: none while a base class probes

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        raise NotImplementedError

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        raise NotImplementedError

    def _make_trainable(self, trained: Collection[str], original: Callable[[], nn.Module] | None) -> None:
        """Mark what is trained; in reduced precision, keep its float32 original beside it.

        Args:
            trained: Names of parameters of :attr:`lm`.
            original: Loads the model in float32; None where what is trained is in float32 in any case.
        """
        self.master = nn.ParameterDict()  # type: ignore[assignment]
        self._compute = {}
        self._mark_trained(trained, original)
        self._own = tuple(self._find_own_parameters())
        self._changes = 0
        self._version = -1

    def _add_adapter(self, peft_config: Mapping[str, Any] | None) -> None:
        """Put an adapter into :attr:`lm` and train it alone; see :func:`agents.networks.lora.inject_adapter`."""
        trained = inject_adapter(self.lm, peft_config)
        self._adapter_layers = tuple(adapter_layers(self.lm))
        self._make_trainable(trained, None)

    def _mark_trained(self, trained: Collection[str], original: Callable[[], nn.Module] | None) -> None:
        if self.compute_dtype == th.float32 or not trained or original is None:
            for key, parameter in self.lm.named_parameters():
                parameter.requires_grad_(key in trained)
            return
        precise = dict(original().named_parameters())
        for key, parameter in self.lm.named_parameters():
            if key in trained:
                slot = key.replace(".", "/")
                self.master[slot] = nn.Parameter(precise[key].detach().clone())
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

    def own_parameters(self) -> tuple[tuple[str, nn.Parameter], ...]:
        """Names and float32 tensors of what is trained and saved."""
        return self._own

    def share_frozen(self, other: TrainedModel) -> None:
        """Hold another instance's parameters in place of equal ones: moved to a GPU, they are there once.

        Args:
            other: The same model with the same parts trained.
        """
        theirs = dict(other.lm.named_parameters(remove_duplicate=False))
        for prefix, module in self.lm.named_modules():
            for key, parameter in list(module.named_parameters(recurse=False)):
                if not parameter.requires_grad:
                    setattr(module, key, theirs[f"{prefix}.{key}" if prefix else key])

    def _find_own_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        compute = {id(p) for p in self._compute.values()}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad and id(parameter) not in compute:
                yield name, parameter

    def train(self, mode: bool = True) -> TrainedModel:
        """Stay in evaluation mode: dropout would make PPO's first ratio differ from 1."""
        return super().train(False)

    @contextlib.contextmanager
    def adapter_off(self) -> Iterator[None]:
        """A context in which this is the pretrained model, to the last bit; nothing is copied.

        Raises:
            ConfigurationError: The pretrained weights themselves are trained, so that they are no longer here.
        """
        if self._own and not self._adapter_layers:
            raise ConfigurationError(
                "this model's own weights are trained, so it has no adapter that could be switched off. Train with "
                "trainable='lora' or 'heads', or load the pretrained model beside it."
            )
        if self.adapter_is_off:
            yield
            return
        with switched_off(self._adapter_layers):
            self.adapter_is_off = True
            try:
                yield
            finally:
                self.adapter_is_off = False

    def version(self) -> int:
        """A number that changes when a trained weight is written in place, or :meth:`mark_changed` is called.

        With the adapter off it is another one than with the adapter on.
        """
        version = self._changes + sum(parameter._version for _, parameter in self._own)
        return ~version if self.adapter_is_off else version

    def mark_changed(self) -> None:
        """Say that weights were written in a way that leaves no trace, as fused optimizers do."""
        self._changes += bool(self._own)

    def refresh(self) -> None:
        """Copy changed float32 weights into their bfloat16 twins."""
        if self._compute and (version := self.version()) != self._version:
            with th.no_grad():
                for slot, parameter in self._compute.items():
                    parameter.copy_(self.master[slot])
            self._version = version


def trainable_names(model: nn.Module, trainable: str) -> set[str]:
    """Names of the parameters that are trained.

    Args:
        model: The model of transformers.
        trainable: ``"all"``, ``"top:N"`` (the last N layers and the final norm), ``"heads"`` or ``"lora"`` (none).

    Raises:
        ConfigurationError: ``trainable`` is something else, or there are fewer layers.
    """
    if trainable == "all":
        return {name for name, _ in model.named_parameters()}
    if trainable in ("heads", "lora"):
        return set()
    match = re.fullmatch(r"top:(\d+)", trainable)
    if match is None:
        raise ConfigurationError(
            f"trainable must be 'all', 'top:N' (the last N layers), 'lora' or 'heads'; got {trainable!r}."
        )
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
        # outside of the layers, only norms are vectors; that of an encoder's embeddings is not the final one
        final_norm = found is None and parameter.ndim == 1 and "embed" not in name
        if final_norm or (found and int(found[1]) >= first):
            trained.add(name)
    return trained
