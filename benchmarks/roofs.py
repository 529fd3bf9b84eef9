"""What a device reaches at best: operations a second in a large matrix product, bytes a second in a large copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch as th

from lm_envs.inference.fast_linear import product

SIDES = {"cpu": 2048, "cuda": 8192}
COPIED_BYTES = 2**28
TRIES = 5


@th.no_grad()
def measure_roofs(device: str, side: int | None = None, copied_bytes: int = COPIED_BYTES) -> dict[str, Any]:
    """Measure a device with the threads that this process has.

    Args:
        device: A torch device.
        side: Of the square matrices; None for the device's own.
        copied_bytes: Size of the array that is copied.

    Returns:
        ``float32`` and ``bfloat16``: floating-point operations a second of a matrix product; ``bytes``: bytes a second
        of a copy, read and written ones together. Each is the best of five tries.
    """
    side = side or SIDES[th.device(device).type]
    source = th.ones(copied_bytes // 4, device=device)
    target = th.empty_like(source)
    speeds: dict[str, Any] = {"bytes": 2 * copied_bytes / _fastest(lambda: target.copy_(source), device)}
    for name, dtype in (("float32", th.float32), ("bfloat16", th.bfloat16)):
        left, right = (th.randn(side, side, device=device).to(dtype) for _ in range(2))
        # as the policies multiply: on a CPU in float32 through oneDNN
        speeds[name] = 2 * side**3 / _fastest(lambda a=left, b=right: product(a, b), device)  # type: ignore[misc]
    return speeds


def _fastest(work: Callable[[], Any], device: str) -> float:
    """Seconds of the fastest of five tries, after one that does not count."""
    synchronize = th.cuda.synchronize if th.device(device).type == "cuda" else lambda: None
    seconds = []
    for _ in range(TRIES + 1):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
