"""One rank of :mod:`benchmarks.scaling`: ``torchrun -m benchmarks.scaling_worker WORKLOAD_JSON FOLDER``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO

from agents import data_parallel
from agents.parallel.ranks import Ranks
from benchmarks.stopwatch import PHASES, peak_memory
from benchmarks.systems import run_project
from benchmarks.workload import Workload


class Exchange:
    """Adds up the seconds that a rank spends in messages, waiting for the others included."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, ppo: PPO) -> PPO:
        """Learn data-parallel, with a clock around every message."""
        ppo = data_parallel(ppo)
        parallel: Any = getattr(ppo, "_parallel", None)
        if parallel is not None:
            ranks: Ranks = parallel.ranks
            for name in ("sum", "sum_in_place"):
                setattr(ranks, name, self._around(getattr(ranks, name)))
        return ppo

    def _around(self, send: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed_send(value: Any) -> Any:
            start = time.perf_counter()
            try:
                return send(value)
            finally:
                self.seconds += time.perf_counter() - start

        return timed_send


def main() -> None:
    """Do the work and leave ``rank_R.json`` in the folder."""
    workload = Workload(**json.loads(sys.argv[1]))
    rank = int(os.environ["RANK"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    exchange = Exchange()
    outcome = run_project(workload, prepare=exchange.timed)
    n_iterations = len(outcome.iterations)
    result = {
        "tokens": outcome.tokens * n_iterations,
        "seconds": {phase: sum(iteration[phase] for iteration in outcome.iterations) for phase in PHASES},
        # of all iterations, those before the clock counts included
        "exchange": exchange.seconds * n_iterations / (n_iterations + workload.warmup),
        "peak_memory": peak_memory(workload.device),
    }
    (Path(sys.argv[2]) / f"rank_{rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
