"""Linear layers through oneDNN, on CPUs, in float32.

PyTorch sends float32 matrix products to MKL, which runs at half of oneDNN's speed on CPUs that are not Intel's
(measured on an AMD EPYC with AVX-512: 93 against 190 billion operations a second). These products are most of a small
model's time. oneDNN comes with PyTorch; where it does not, everything here is the plain operation.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import torch as th
from torch import nn
from torch.nn import functional

MIN_OUTPUTS = 2**13  # numbers in a result; below this the call costs more than it saves


class FastLinear(nn.Linear):
    """``nn.Linear`` with :func:`linear` inside; made from one by :func:`speed_up`."""

    def forward(self, input: th.Tensor) -> th.Tensor:
        """Like ``nn.Linear``."""
        return linear(input, self.weight, self.bias)


def speed_up(model: nn.Module) -> None:
    """Let every plain ``nn.Linear`` of a model run through oneDNN. Weights and names stay what they are."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = FastLinear


def linear(input: th.Tensor, weight: th.Tensor, bias: th.Tensor | None = None) -> th.Tensor:
    """``input @ weight.T + bias``, differentiable once; see :func:`differentiable_twice`.

    Args:
        input: ``(..., n_in)``.
        weight: ``(n_out, n_in)``.
        bias: ``(n_out,)`` or None.
    """
    if not _worthwhile(input, weight):
        return functional.linear(input, weight, bias)
    if th.is_grad_enabled() and (input.requires_grad or weight.requires_grad):
        return _Linear.apply(input, weight, bias)
    return _product(input, weight, bias)


def product(input: th.Tensor, weight: th.Tensor) -> th.Tensor:
    """``input @ weight.T``, not differentiable, for ``(n, k)`` and ``(m, k)``.

    Either may be a transposed view: oneDNN reorders what it reads faster than ``contiguous`` would copy it.
    """
    return _product(input, weight, None) if _worthwhile(input, weight) else input @ weight.T


@contextlib.contextmanager
def differentiable_twice() -> Iterator[None]:
    """A context in which :func:`linear` is the plain operation, whose gradient has a gradient."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


class _Linear(th.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: th.Tensor, weight: th.Tensor, bias: th.Tensor | None) -> th.Tensor:
        ctx.save_for_backward(input, weight)
        return _product(input, weight, bias)

    @staticmethod
    @th.autograd.function.once_differentiable
    def backward(ctx: Any, grad: th.Tensor) -> tuple[th.Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        wants_input, wants_weight, wants_bias = ctx.needs_input_grad
        rows = grad.reshape(-1, grad.shape[-1])
        input_grad = product(rows, weight.T).view_as(input) if wants_input else None
        weight_grad = product(rows.T, input.reshape(-1, input.shape[-1]).T) if wants_weight else None
        return input_grad, weight_grad, rows.sum(dim=0) if wants_bias else None


def _product(input: th.Tensor, weight: th.Tensor, bias: th.Tensor | None) -> th.Tensor:
    return th.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")


def _worthwhile(input: th.Tensor, weight: th.Tensor) -> bool:
    return (
        _AVAILABLE
        and input.dtype == weight.dtype == th.float32
        and input.device.type == "cpu"
        and input.numel() // input.shape[-1] * weight.shape[0] >= MIN_OUTPUTS
        and not _plain.get()
    )


def _find_operation() -> bool:
    """Whether this PyTorch has oneDNN and its linear operation."""
    return bool(th.backends.mkldnn.is_available()) and hasattr(th.ops.mkldnn, "_linear_pointwise")


_AVAILABLE = _find_operation()
_plain: contextvars.ContextVar[bool] = contextvars.ContextVar("plain", default=False)
