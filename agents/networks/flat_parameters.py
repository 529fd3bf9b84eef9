"""Several parameters as views of one tensor, for algorithms that differentiate with respect to one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch as th
from torch import nn
from torch.func import functional_call


class FlatParameters:
    """A copy of a module's parameters in one tensor, which functions of the module can be computed with.

    TRPO asks for the gradient of the divergence tensor by tensor, and keeps the graph of each: with ``n`` tensors a
    second derivative goes back through ``n`` graphs. Through one tensor it goes back through one. (Fully sharded
    training keeps parameters in such tensors too, `Zhao et al. 2023 <https://arxiv.org/abs/2304.11277>`_.)

    Args:
        module: The module.
        parameters: Those of its parameters that are wanted, by name, all of one dtype.

    Attributes:
        tensor: All values ``(n,)``, a leaf of the graph. The module's own parameters keep theirs until
            :meth:`write_back`.
    """

    def __init__(self, module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
        self._module = module
        self._parameters = dict(parameters)
        self._places = dict(_places(module, {id(each): name for name, each in parameters.items()}))
        self.tensor = nn.Parameter(th.cat([each.detach().flatten() for each in parameters.values()]))

    def holds(self, parameter: nn.Parameter) -> bool:
        """Whether it is one of the parameters."""
        return any(each is parameter for each in self._parameters.values())

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that uses the module, with the module's parameters as views of :attr:`tensor`."""
        views = self._views()
        placed = {f"module.{place}": views[name] for place, name in self._places.items()}
        return functional_call(_Calling(self._module, function), placed, args, tie_weights=False)

    def write_back(self) -> None:
        """Write the values of :attr:`tensor` into the module's own parameters, in place."""
        with th.no_grad():
            for name, view in self._views().items():
                self._parameters[name].copy_(view)

    def _views(self) -> dict[str, th.Tensor]:
        parts = self.tensor.split([each.numel() for each in self._parameters.values()])
        return {name: part.view_as(each) for (name, each), part in zip(self._parameters.items(), parts, strict=True)}


def _places(module: nn.Module, wanted: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Every place of some parameters, once each: weights may be tied, and modules be reached in more than one way."""
    for prefix, child in module.named_modules():
        for key, parameter in child.named_parameters(recurse=False):
            if id(parameter) in wanted:
                yield f"{prefix}.{key}" if prefix else key, wanted[id(parameter)]


class _Calling(nn.Module):
    """A function as a module, so that the parameters of another module can be replaced while it runs."""

    def __init__(self, module: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.module = module
        self._function = (function,)  # in a tuple a module is no submodule

    def forward(self, *args: Any) -> Any:
        return self._function[0](*args)
