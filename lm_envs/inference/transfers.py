"""Arrays on their way to a device, without waiting for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th


def to_device(array: npt.NDArray[Any], device: th.device | str) -> th.Tensor:
    """The array as a tensor on a device; on a CPU it shares the array's memory.

    A copy to a GPU out of ordinary memory waits until everything before it is done. This one goes through page-locked
    memory and only takes its place in the queue; torch keeps that memory until the copy has been made.
    """
    if th.device(device).type != "cuda":
        return th.as_tensor(array, device=device)
    return th.as_tensor(array).pin_memory().to(device, non_blocking=True)


def to_device_together(arrays: Sequence[npt.NDArray[np.int64]], device: th.device | str) -> list[th.Tensor]:
    """Several arrays of int64, of any shapes; to a GPU in one copy."""
    if th.device(device).type != "cuda":
        return [th.as_tensor(array, device=device) for array in arrays]
    flat = to_device(np.concatenate([array.ravel() for array in arrays]), device)
    parts = flat.split([array.size for array in arrays])
    return [part.view(array.shape) for part, array in zip(parts, arrays, strict=True)]


class HostCopy:
    """Brings tensors of one shape to the host, each in one transfer: the one moment to wait for the device.

    The page-locked memory in between is allocated once.
    """

    def __init__(self) -> None:
        self._staging: th.Tensor | None = None

    def __call__(self, tensor: th.Tensor) -> th.Tensor:
        """A copy on the host."""
        if tensor.device.type != "cuda":
            return tensor.clone()
        if self._staging is None or self._staging.shape != tensor.shape or self._staging.dtype != tensor.dtype:
            self._staging = th.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._staging.copy_(tensor, non_blocking=True)
        th.cuda.current_stream(tensor.device).synchronize()
        return self._staging.clone()
