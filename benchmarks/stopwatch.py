"""Time by phase, and peak memory of this process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch as th

PHASES = ("rollout", "scoring", "update")


class Stopwatch:
    """Adds up the seconds of each phase, iteration by iteration.

    Args:
        device: The device that computes; the clock is read when it is done.
        clock: Seconds; ``time.process_time`` leaves out what other processes of a shared machine take.

    Attributes:
        iterations: For each iteration, seconds by phase.
    """

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.iterations: list[dict[str, float]] = []
        self._clock = clock
        self._cuda = th.device(device).type == "cuda"
        self._last = self._now()

    def start_iteration(self) -> None:
        """Begin the next iteration; its first phase runs from now."""
        self.iterations.append(dict.fromkeys(PHASES, 0.0))
        self._last = self._now()

    def lap(self, phase: str) -> None:
        """Book the time since the last lap on ``phase``."""
        now = self._now()
        self.iterations[-1][phase] += now - self._last
        self._last = now

    def _now(self) -> float:
        if self._cuda:
            th.cuda.synchronize()
        return self._clock()


def peak_memory(device: str) -> int:
    """Most bytes held so far: by the allocator of a CUDA device, else resident in this process."""
    if th.device(device).type == "cuda":
        return int(th.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):  # ru_maxrss of a new process begins with its parent's
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
