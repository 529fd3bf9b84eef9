"""Tokens per second and peak memory of the same work by several systems: ``python -m benchmarks throughput``.

- ``project``: stock PPO with ``LMActorCriticPolicy``, ``SequenceRolloutBuffer`` and ``ReferenceKLCallback``.
- ``textbook``: stock PPO with a policy as most people would write it (:mod:`benchmarks.textbook_policy`).
- ``generate``: the bound, plain ``generate`` plus one teacher-forced forward and backward pass.
- ``grpo``: as ``project``, with ``GRPORolloutBuffer``: groups of episodes on one prompt.
- ``trl``: TRL's ``GRPOTrainer`` (:mod:`benchmarks.trl_system`), once for each of ``--peer-minibatches``.

With ``--algorithm dqn`` two systems learn action values from a replay buffer of the same random episodes:

- ``project``: stock DQN with ``LMQPolicy`` and ``SequenceReplayBuffer``, all weights trained.
- ``textbook``: stock DQN with a Q-network as most people would write it (:mod:`benchmarks.textbook_q_policy`) and
  SB3's own buffer.

Each collects as many transitions as it trains on; ``update`` is gradient transitions per second. The memory of full
replay buffers is counted besides.

All have the same weights, random prompts of the same length, and the same number of new tokens, as no token ends a
text. Every measurement runs in a fresh process pinned to as many cores as it has threads. Systems take turns, in
alternating order, over several rounds, and ratios are taken within a round: what slows the machine slows them all.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agents.atomic_files import write_json
from benchmarks.machine import describe_machine
from benchmarks.throughput_report import compare, print_report, summarise
from benchmarks.workload import Workload

SYSTEM_NAMES = {"ppo": ("project", "textbook", "generate"), "dqn": ("project", "textbook")}
PEERS = {
    "textbook": ["project", "textbook"],
    "generate": ["project", "generate"],
    "trl": ["project", "grpo", "trl"],
}
DEFAULT_LENGTHS = {"ppo": ("16+32", "32+224", "32+480"), "dqn": ("16+32", "32+224")}
ROOT = Path(__file__).parent.parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = parse(arguments)
    result: dict[str, Any] = {}
    for result in run(settings):
        if settings.json:  # after every measurement: a long benchmark that fails leaves what it has
            write_json(Path(settings.json), result)
    print_report(result)


def run(settings: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure everything.

    Args:
        settings: The parsed command line.

    Yields:
        After every measurement, the result so far: ``benchmark``, ``settings``, ``machine``, ``runs`` (every
        measurement), ``summary`` and ``ratios``; for DQN also ``replay_memory``.
    """
    shown = {key: value for key, value in vars(settings).items() if key != "json"}
    shown["lengths"] = ["+".join(map(str, length)) for length in settings.lengths]
    head: dict[str, Any] = {"benchmark": "throughput", "settings": shown, "machine": describe_machine(settings.device)}
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = prepared(settings.model, Path(folder))
        base = _base_workload(settings, model)
        if settings.algorithm == "dqn":
            head["replay_memory"] = [row for length in settings.lengths for row in _replay_memory(_at(base, length))]
        planned = list(plan(base, settings.lengths, _with_settings(settings), settings.rounds))
        for round_number, system, workload in planned:
            label = f"{system} {workload.prompt_tokens}+{workload.new_tokens}"
            print(f"[{len(runs) + 1}/{len(planned)}] {label}", file=sys.stderr, flush=True)
            runs.append({"round": round_number, **measured(system, workload)})
            yield {**head, "runs": runs, "summary": summarise(runs), "ratios": compare(runs, settings.algorithm)}


def plan(
    base: Workload, lengths: Sequence[tuple[int, int]], systems: Sequence[str], rounds: int
) -> Iterator[tuple[int, str, Workload]]:
    """Every measurement in its order; every other round goes through the systems backwards."""
    for round_number, length in itertools.product(range(rounds), lengths):
        workload = _at(base, length, seed=round_number)
        for system in systems if round_number % 2 == 0 else reversed(systems):
            minibatch = system.partition("/")[2]
            yield round_number, system, _at(workload, length, minibatch=int(minibatch)) if minibatch else workload


def _with_settings(settings: argparse.Namespace) -> list[str]:
    """The systems; TRL's once for each size of minibatches, as ``trl/16``."""
    names = [[f"trl/{size}" for size in settings.peer_minibatches] if n == "trl" else [n] for n in settings.systems]
    return list(itertools.chain.from_iterable(names))


def _at(base: Workload, length: tuple[int, int], **changes: Any) -> Workload:
    return dataclasses.replace(base, prompt_tokens=length[0], new_tokens=length[1], **changes)


def _replay_memory(workload: Workload) -> list[dict[str, Any]]:
    shown = json.dumps(dataclasses.asdict(workload))
    rows: list[dict[str, Any]] = _in_fresh_process("replay_memory", shown, threads=workload.threads)["rows"]
    return rows


def prepared(name: str, folder: Path) -> str:
    """What :func:`benchmarks.workload.prepare_model` returns, made in a process of its own."""
    return str(_in_fresh_process("prepare", name, str(folder))["model"])


def measured(system: str, workload: Workload) -> dict[str, Any]:
    """What :func:`benchmarks.worker.measure` returns, measured in a process of its own."""
    return _in_fresh_process("measure", system, json.dumps(dataclasses.asdict(workload)), threads=workload.threads)


def roofs_measured(workload: Workload) -> dict[str, Any]:
    """What :func:`benchmarks.roofs.measure_roofs` returns, measured in a process of its own."""
    return _in_fresh_process("roofs", json.dumps(dataclasses.asdict(workload)), threads=workload.threads)


def _in_fresh_process(task: str, *arguments: str, threads: int = 0) -> dict[str, Any]:
    """Run a task of ``benchmarks.worker`` and read its result.

    Raises:
        RuntimeError: If it fails; holds the end of what it printed.
    """
    environment = dict(os.environ)
    if threads:
        environment.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    command = [sys.executable, "-m", "benchmarks.worker", task, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        shown = arguments[0] if task == "measure" else task
        raise RuntimeError(f"{shown} failed with exit code {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _base_workload(settings: argparse.Namespace, model: str) -> Workload:
    """The workload at the first length."""
    names = [field.name for field in dataclasses.fields(Workload)]
    given = {name: value for name, value in vars(settings).items() if name in names and name != "model"}
    prompt_tokens, new_tokens = settings.lengths[0]
    kl_coef = None if settings.no_kl else Workload.kl_coef
    return Workload(model=model, prompt_tokens=prompt_tokens, new_tokens=new_tokens, kl_coef=kl_coef, **given)


def parse_length(text: str) -> tuple[int, int]:
    """``"16+32"``: prompt tokens and new tokens."""
    prompt, plus, new = text.partition("+")
    if not (plus and prompt.isdigit() and new.isdigit() and int(prompt) and int(new)):
        raise argparse.ArgumentTypeError(f"expected PROMPT+NEW, two numbers of tokens such as 16+32; got {text!r}")
    return int(prompt), int(new)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The settings; systems and lengths are all of the algorithm's unless given."""
    parser = _parser()
    settings = parser.parse_args(arguments)
    if settings.peer and (settings.systems or settings.algorithm != "ppo"):
        parser.error("--peer chooses the systems of --algorithm ppo: leave --systems and --algorithm out")
    known = SYSTEM_NAMES[settings.algorithm] + (("grpo", "trl") if settings.algorithm == "ppo" else ())
    settings.systems = settings.systems or PEERS.get(settings.peer) or list(SYSTEM_NAMES[settings.algorithm])
    settings.lengths = settings.lengths or [parse_length(text) for text in DEFAULT_LENGTHS[settings.algorithm]]
    if not set(settings.systems) <= set(known):
        parser.error(f"{settings.algorithm} has the systems {', '.join(known)}; got {', '.join(settings.systems)}")
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks throughput", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--model", default="tiny", help="alias, hub id or folder; 'random': random weights of tiny's size")
    add("--lengths", nargs="+", type=parse_length, metavar="PROMPT+NEW",
        help=f"tokens of prompt and completion ({' '.join(DEFAULT_LENGTHS['ppo'])}; dqn: the first two)")  # fmt: skip
    add("--algorithm", choices=list(SYSTEM_NAMES), default="ppo")
    add("--systems", nargs="+", choices=[*SYSTEM_NAMES["ppo"], "grpo", "trl"],
        help="unless given, all of the algorithm's but grpo and trl")  # fmt: skip
    add("--peer", choices=list(PEERS), help="measure against this one only")
    add("--peer-minibatches", nargs="+", type=int, default=[16, 32, 64], metavar="EPISODES",
        help="sizes of TRL's minibatches (16 32 64); the fastest counts")  # fmt: skip
    add("--rounds", type=int, default=3, help="times that every system is measured")
    add("--n-envs", type=int, default=64)
    add("--minibatch", type=int, default=16, help="PPO: episodes in a minibatch")
    add("--batch-size", type=int, default=Workload.batch_size, help="DQN: transitions in a gradient step")
    add("--replay-transitions", type=int, default=Workload.replay_transitions,
        help="DQN: capacity of the replay buffers whose memory is measured")  # fmt: skip
    add("--measured-tokens", type=int, default=Workload.measured_tokens,
        help="tokens generated in a measurement, rounded up to whole iterations (textbook: one iteration)")  # fmt: skip
    add("--warmup", type=int, default=1, help="iterations before them (textbook: none)")
    add("--device", default="cpu")
    add("--dtype", default="float32", choices=("float32", "bfloat16"))
    add("--threads", type=int, default=1, help="threads and cores of each process; 0: leave both alone")
    add("--processor-time", action="store_true", help="PPO: processor time, for a machine that others use too")
    add("--no-kl", action="store_true", help="no reference model, in no system")
    add("--textbook-transitions", type=int, default=Workload.textbook_transitions,
        help="the textbook system is measured on at most about this many transitions")  # fmt: skip
    add("--textbook-tokens", type=int, default=Workload.textbook_tokens,
        help="PPO: most tokens, padding included, in its minibatches: bounds its memory")  # fmt: skip
    add("--json", metavar="FILE", help="also write everything to this file")
    return parser


if __name__ == "__main__":
    main()
