"""What the work asks of the machine, against what the machine can do: ``python -m benchmarks roofline``.

The operations and bytes of a rollout, its scoring under the reference and an update are counted
(:mod:`benchmarks.work_counts`) and timed as in ``throughput``; a large matrix product and a large copy say what the
machine reaches (:mod:`benchmarks.roofs`). With as many operations for a byte as a phase has, the machine could do no
more than the lower of two roofs (`Williams et al. 2009 <https://doi.org/10.1145/1498765.1498785>`_): its arithmetic, or
its bandwidth times that number. How much of it a phase reaches says what is left to gain; what is missing goes into
small operations between the large ones, and into Python.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from agents.atomic_files import write_json
from benchmarks.machine import describe_machine
from benchmarks.roofline_figure import write_figure
from benchmarks.stopwatch import PHASES
from benchmarks.throughput import measured, parse_length, prepared, roofs_measured
from benchmarks.throughput_report import spread
from benchmarks.work_counts import ITEM_BYTES, WorkCounts
from benchmarks.workload import Workload


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    result: dict[str, Any] = {}
    for result in run(settings):
        if settings.json:
            write_json(settings.json, result)
    print_roofline(result)
    if settings.json:
        print(f"{settings.json} and {write_figure(result, settings.json.with_suffix('.svg'))} were written")


def run(settings: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure the machine and the work, in turns.

    Args:
        settings: The parsed command line.

    Yields:
        After every measurement of the work, the result so far: ``benchmark``, ``settings``, ``machine``, ``roofs`` (the
        best of each over rounds), ``runs`` and ``phases``, see :func:`place`.
    """
    shown = {key: value for key, value in vars(settings).items() if key != "json"}
    shown["lengths"] = ["+".join(map(str, length)) for length in settings.lengths]
    head = {"benchmark": "roofline", "settings": shown, "machine": describe_machine(settings.device)}
    runs: list[dict[str, Any]] = []
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = prepared(settings.model, Path(folder))
        workloads = [_workload(settings, model, length) for length in settings.lengths]
        counts = _counts(model, settings.dtype)
        for number, workload in itertools.product(range(settings.rounds), workloads):
            if workload is workloads[0]:
                found.append(roofs_measured(workload))
            runs.append({"round": number, **measured("project", workload)})
            roofs = {name: max(one[name] for one in found) for name in found[0]}
            phases = [row for each in workloads for row in place(counts, each, runs, roofs, settings.dtype)]
            yield {**head, "roofs": roofs, "runs": runs, "phases": phases}


def place(
    counts: WorkCounts, workload: Workload, runs: list[dict[str, Any]], roofs: dict[str, float], dtype: str
) -> list[dict[str, Any]]:
    """Where the phases of a workload stand under the roofs.

    Args:
        counts: Of the model.
        workload: What was done.
        runs: Measurements of ``benchmarks.worker``; those of other lengths are left out.
        roofs: What the machine reaches.
        dtype: In which the model computes.

    Returns:
        For each phase that was measured ``length``, ``phase``, ``flops`` and ``bytes`` of an iteration, ``intensity``
        (operations for a byte), ``seconds`` of an iteration (their spread), ``flops_per_second`` (at the median),
        ``roof`` (operations a second that the machine could do at this intensity), ``roof_is`` (``"arithmetic"`` or
        ``"bandwidth"``) and ``share`` (of the roof that is reached).
    """
    length = (workload.prompt_tokens, workload.new_tokens)
    own = [run for run in runs if (run["prompt_tokens"], run["new_tokens"]) == length]
    work = {"rollout": counts.rollout(workload), "scoring": counts.scoring(workload), "update": counts.update(workload)}
    rows = []
    for phase in PHASES if own else ():
        seconds = spread(run["seconds"][phase] * workload.tokens / run["tokens"] for run in own)
        bandwidth_roof = work[phase].intensity * roofs["bytes"]
        roof = min(roofs[dtype], bandwidth_roof)
        speed = work[phase].flops / seconds["median"]
        rows.append({
            "length": f"{length[0]}+{length[1]}",
            "phase": phase,
            "flops": work[phase].flops,
            "bytes": work[phase].bytes,
            "intensity": work[phase].intensity,
            "seconds": seconds,
            "flops_per_second": speed,
            "roof": roof,
            "roof_is": "bandwidth" if bandwidth_roof < roofs[dtype] else "arithmetic",
            "share": speed / roof,
        })  # fmt: skip
    return rows


def print_roofline(result: dict[str, Any], console: Console | None = None) -> None:
    """Print a result of ``python -m benchmarks roofline``."""
    console = console or Console()
    roofs, machine, settings = result["roofs"], result["machine"], result["settings"]
    threads = settings["threads"] or machine["cores"]
    console.print(f"{settings['model']} on {machine['device']}, {machine['cpu']}, {threads} thread(s)")
    products = f"{roofs['float32'] / 1e9:,.0f} GFLOP/s in float32, {roofs['bfloat16'] / 1e9:,.0f} in bfloat16"
    console.print(f"matrix product: {products}; copy: {roofs['bytes'] / 1e9:,.1f} GB/s")
    table = Table(title="an iteration, median over rounds", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("length", "phase", "GFLOP", "GB", "FLOP/byte", "GFLOP/s", "roof", "roof is", "reached"):
        table.add_column(column, justify="left" if column in ("length", "phase", "roof is") else "right")
    for row in result["phases"]:
        work = [f"{row['flops'] / 1e9:,.1f}", f"{row['bytes'] / 1e9:,.2f}", f"{row['intensity']:,.1f}"]
        speeds = [f"{row[key] / 1e9:,.1f}" for key in ("flops_per_second", "roof")]
        table.add_row(row["length"], row["phase"], *work, *speeds, row["roof_is"], f"{row['share']:.0%}")
    console.print(table)


def _counts(model: str, dtype: str) -> WorkCounts:
    from transformers import AutoConfig

    return WorkCounts(AutoConfig.from_pretrained(model), ITEM_BYTES[dtype])


def _workload(settings: argparse.Namespace, model: str, length: tuple[int, int]) -> Workload:
    names = ("n_envs", "minibatch", "device", "dtype", "threads", "measured_tokens", "processor_time")
    given = {name: getattr(settings, name) for name in names}
    return Workload(model=model, prompt_tokens=length[0], new_tokens=length[1], **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks roofline", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--model", default="tiny", help="alias, hub id, folder or a random model: Llama, Mistral or Qwen")
    add("--lengths", nargs="+", type=parse_length, metavar="PROMPT+NEW", default=[(16, 32), (64, 192)],
        help="tokens of prompt and completion (16+32 64+192)")  # fmt: skip
    add("--n-envs", type=int, default=64)
    add("--minibatch", type=int, default=16, help="episodes in a minibatch")
    add("--rounds", type=int, default=3, help="times that everything is measured")
    add("--measured-tokens", type=int, default=Workload.measured_tokens,
        help="tokens generated in a measurement, rounded up to whole iterations")  # fmt: skip
    add("--device", default="cpu")
    add("--dtype", default="float32", choices=tuple(ITEM_BYTES))
    add("--threads", type=int, default=1, help="threads and cores of each process; 0: leave both alone")
    add("--processor-time", action="store_true", help="measure processor time, for a machine that others use too")
    add("--json", type=Path, metavar="FILE", help="also write everything to this file, and a figure beside it")
    return parser


if __name__ == "__main__":
    main()
