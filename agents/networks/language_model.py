"""A pretrained language model inside of a policy: what is trained, in which precision, and how it is run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch as th
from torch import nn

from lm_envs.errors import ConfigurationError
from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.models import load_language_model


class LanguageModel(CachedLanguageModel):
    """A causal language model of transformers of which some, all or none of the weights are trained.

    Weights that are not trained are shared, as :class:`~lm_envs.inference.cached_model.CachedLanguageModel` does.
    Trained weights are kept in float32; with ``dtype="bfloat16"`` the model computes on bfloat16 copies, whose
    gradients are handed to the float32 weights as they arrive (learning rates of 1e-6 would vanish in bfloat16).

    Args:
        name: Alias, hub id or folder, as for :func:`lm_envs.load_language_model`.
        trainable: ``"all"``, ``"top:N"`` (the last N layers and the final norm), or ``"heads"`` (nothing in here).
        dtype: ``"float32"`` or ``"bfloat16"``, the precision that the model computes in.
        device: Where it runs.

    Raises:
        ConfigurationError: For an unknown ``trainable`` or ``dtype``, or more layers than there are.
        ModelError: If the model cannot be loaded, or its output layer is of a kind that is not understood.
    """

    _compute: dict[str, nn.Parameter] = {}  # noqa: RUF012 - replaced, never filled: none while the base class probes

    def __init__(self, name: str, trainable: str = "all", dtype: str = "float32", device: th.device | str = "cpu"):
        super().__init__(name, dtype, device, own=lambda source: _trainable_names(source, trainable))
        trained = _trainable_names(self.lm, trainable)
        self.master: dict[str, nn.Parameter] = nn.ParameterDict()  # type: ignore[assignment]
        self._compute = {}
        self._make_trainable(name, trained, device)
        self._own = tuple(self._find_own_parameters())
        self._changes = 0
        self._version = -1

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

    def own_parameters(self) -> tuple[tuple[str, nn.Parameter], ...]:
        """Names and float32 tensors of what is trained and saved."""
        return self._own

    def share_frozen(self, other: LanguageModel) -> None:
        """Hold another instance's parameters in place of equal ones: moved to a GPU, they are there once.

        Args:
            other: The same model with the same parts trained.
        """
        theirs = dict(other.lm.named_parameters(remove_duplicate=False))
        for prefix, module in self.lm.named_modules():
            for key, parameter in list(module.named_parameters(recurse=False)):
                if not parameter.requires_grad:
                    setattr(module, key, theirs[f"{prefix}.{key}" if prefix else key])
        last = self.lm.get_output_embeddings()
        self._layer = replace(self._layer, weight=last.weight, bias=last.bias)

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
        self._changes += bool(self._own)

    def refresh(self) -> None:
        """Copy changed float32 weights into their bfloat16 twins."""
        if self._compute and (version := self.version()) != self._version:
            with th.no_grad():
                for slot, parameter in self._compute.items():
                    parameter.copy_(self.master[slot])
            self._version = version


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
