"""A function of tensors that a GPU repeats as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch as th

Inputs = Mapping[str, th.Tensor]
WARMUP = 3  # runs before the recording, in which libraries choose kernels and allocate what they keep


class RecordedStep:
    """Runs a function by repeating what the GPU did when it ran once; the host launches one graph, not its kernels.

    The function must be static: the same kernels with the same shapes and addresses each time, whatever the inputs
    hold, without reading anything back (see :mod:`lm_envs.inference.waiting`). Tensors that it uses beside its inputs,
    such as weights and caches, must stay where they are; what is written into them in between counts.

    Args:
        function: Takes the inputs by name and returns a tensor.
        inputs: The first inputs, on one CUDA device; later ones have the same names, shapes and dtypes.
        pool: Memory that recordings of steps share that never run at the same time, see
            ``torch.cuda.graph_pool_handle``. A result must be used before another of them runs.

    References:
        https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, function: Callable[[Inputs], th.Tensor], inputs: Inputs, pool: Any = None) -> None:
        self._inputs = {name: value.clone() for name, value in inputs.items()}
        self._device = next(iter(inputs.values())).device
        with th.cuda.device(self._device):
            stream = th.cuda.Stream()
            stream.wait_stream(th.cuda.current_stream())
            with th.cuda.stream(stream):
                for _ in range(WARMUP):
                    function(self._inputs)
            th.cuda.current_stream().wait_stream(stream)
            self._graph = th.cuda.CUDAGraph()
            with th.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
                self._result = function(self._inputs)

    def __call__(self, inputs: Inputs) -> th.Tensor:
        """The function's result: the same tensor each time, overwritten by the next call."""
        for name, value in inputs.items():
            self._inputs[name].copy_(value, non_blocking=True)
        with th.cuda.device(self._device):
            self._graph.replay()
        return self._result
