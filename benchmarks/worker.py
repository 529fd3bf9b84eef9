"""What the throughput benchmark runs in fresh processes; each task prints one line of JSON.

``python -m benchmarks.worker prepare MODEL FOLDER`` saves the model that all systems use;
``python -m benchmarks.worker measure SYSTEM WORKLOAD_JSON`` runs one system;
``python -m benchmarks.worker replay_memory WORKLOAD_JSON`` measures replay buffers;
``python -m benchmarks.worker roofs WORKLOAD_JSON`` measures what the workload's device can do.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import pin
from benchmarks.stopwatch import PHASES, peak_memory
from benchmarks.workload import Workload, prepare_model

if TYPE_CHECKING:
    from benchmarks.systems import Outcome


def measure(system: str, workload: Workload) -> dict[str, Any]:
    """Run a system.

    Args:
        system: A name that :func:`find_system` knows.
        workload: What it does.

    Returns:
        ``system``, lengths, ``tokens`` measured, ``seconds`` by phase, tokens/s (``rollout``, ``update`` and
        ``end_to_end``: rollout, scoring and update together), ``peak_memory`` in bytes, ``note``, ``shares`` of the
        rollout's time by name.
    """
    outcome = find_system(workload.algorithm, system)(workload)
    tokens = outcome.tokens * len(outcome.iterations)
    seconds = {phase: sum(iteration[phase] for iteration in outcome.iterations) for phase in PHASES}
    return {
        "system": system,
        "prompt_tokens": workload.prompt_tokens,
        "new_tokens": workload.new_tokens,
        "tokens": tokens,
        "seconds": seconds,
        "rollout": tokens / seconds["rollout"],
        "update": tokens / seconds["update"],
        "end_to_end": tokens / sum(seconds.values()),
        "peak_memory": peak_memory(workload.device),
        "note": outcome.note,
        "shares": dict(outcome.shares),
    }


def replay_memory(workload: Workload) -> dict[str, Any]:
    """``rows``: those of :func:`benchmarks.replay_memory.measure_replay_memory`."""
    from benchmarks.replay_memory import measure_replay_memory

    return {"rows": measure_replay_memory(workload)}


def roofs(workload: Workload) -> dict[str, Any]:
    """What :func:`benchmarks.roofs.measure_roofs` returns."""
    from benchmarks.roofs import measure_roofs

    return measure_roofs(workload.device)


def find_system(algorithm: str, name: str) -> Callable[[Workload], Outcome]:
    """A system of ``"ppo"``, ``"dqn"`` or ``"dialogue"``; what follows a slash in its name says how it is set."""
    system = name.partition("/")[0]
    if system == "trl":
        from benchmarks.trl_system import run_trl

        return run_trl
    module = {"ppo": "systems", "dqn": "dqn_systems", "dialogue": "dialogue_systems"}[algorithm]
    return importlib.import_module(f"benchmarks.{module}").SYSTEMS[system]


def main() -> None:
    """Do the task that the command line names."""
    task, *arguments = sys.argv[1:]
    if task == "prepare":
        name, folder = arguments
        result = {"model": prepare_model(name, Path(folder))}
    else:
        workload = Workload(**json.loads(arguments[-1]))
        pin(workload.threads)
        tasks = {"replay_memory": replay_memory, "roofs": roofs}
        result = measure(arguments[0], workload) if task == "measure" else tasks[task](workload)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
