"""Finds operations that make the host wait for the device, or whose shapes depend on numbers there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch as th
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READING = frozenset(  # a number on the device decides what the host does next, or how large a result is
    "_local_scalar_dense equal is_nonzero nonzero nonzero_numpy masked_select unique_dim _unique _unique2 "
    "unique_consecutive bincount histc repeat_interleave".split()
)
STATIC = frozenset({"nonzero_static"})


def waiting_operations(function: Callable[[], Any]) -> list[str]:
    """Run a function and name the operations in it that could not be part of a CUDA graph.

    These read numbers (``.item()``, ``if tensor:``, boolean masks as indices), move tensors between devices, or build
    them from Python numbers. Everything is found on a CPU too, but for copies between devices.

    Args:
        function: What to run; its result is dropped.
    """
    with _Watch() as watch:
        function()
    return sorted(watch.found)


class _Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if _reads(func, name, args) or _moves(name, tree_leaves((args, kwargs)), tree_leaves(result)):
            self.found.add(name)
        return result


def _reads(func: Any, name: str, args: Sequence[Any]) -> bool:
    if name == "repeat_interleave":  # given one number it is none of these, and never arrives here
        return func._overloadname == "Tensor"
    if name in ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"):
        return any(th.is_tensor(index) and index.dtype in (th.bool, th.uint8) for index in args[1])
    return name in READING


def _moves(name: str, before: list[Any], after: list[Any]) -> bool:
    """Whether tensors of several devices take part; numbers without dimensions may come along from the host."""
    tensors = [value for value in (*before, *after) if th.is_tensor(value)]
    if name in ("_to_copy", "copy_", "lift_fresh"):
        return len({tensor.device for tensor in tensors}) > 1
    return len({tensor.device for tensor in tensors if tensor.ndim}) > 1
