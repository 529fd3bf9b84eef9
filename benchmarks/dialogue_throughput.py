"""Tokens per second in dialogues, against texts of the same length: ``python -m benchmarks dialogue-throughput``.

- ``dialogue``: ``Dialogue-v0``; turns of the agent and of the user in a fixed number and of fixed lengths. The users
  follow the rules of the agenda, whatever they say; frames, default rewards and infos are those of every dialogue.
- ``textgen``: ``TextGen-v0``; the prompt has as many tokens as the users' turns and the frames together, the
  completion as many as the agent's turns.

Both are stock PPO with ``LMActorCriticPolicy``, ``SequenceRolloutBuffer`` and ``ReferenceKLCallback``, with equal
settings and the same weights. In ``dialogue_ragged`` and ``textgen_ragged`` episodes begin one after the other, so that
in every step some rows end a turn; there the rollout alone is compared, since at its end a new text has its whole
prompt already, a new dialogue its first turn only. A process has one thread, and seconds are its processor time: what
others do on a shared machine does not count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import describe_machine
from benchmarks.throughput import measured, plan
from benchmarks.throughput_report import compare, print_report, spread, summarise
from benchmarks.workload import Workload

SYSTEM_NAMES = ("dialogue", "textgen", "dialogue_ragged", "textgen_ragged")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    result: dict[str, Any] = {}
    for result in run(settings):
        if settings.json:
            Path(settings.json).write_text(json.dumps(result, indent=1) + "\n")
    print_report(result)
    for system, shares in result["shares"].items():
        shown = ", ".join(f"{name} {100 * share['median']:.0f}%" for name, share in shares.items())
        Console().print(f"{system}: of the rollout's time {shown}")


def run(settings: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure all sides by turns.

    Args:
        settings: The parsed command line.

    Yields:
        After every measurement, the result so far: ``benchmark``, ``settings``, ``machine``, ``runs``, ``summary``,
        ``ratios``, and ``shares`` of the rollout's time: ``environment``, and ``partner`` within it.
    """
    from benchmarks.dialogue_systems import prepare_model, world_tokens

    shown = {key: value for key, value in vars(settings).items() if key != "json"}
    head = {"benchmark": "dialogue_throughput", "settings": {**shown, "threads": 1}, "machine": describe_machine()}
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        model = prepare_model(settings.model, Path(folder))
        length = (
            world_tokens(model, settings.n_turns, settings.user_tokens),
            settings.n_turns * settings.turn_tokens,
        )
        names = ("n_envs", "minibatch", "measured_tokens", "warmup", "n_turns", "user_tokens")
        given = {name: getattr(settings, name) for name in names}
        base = Workload(model, *length, algorithm="dialogue", processor_time=True, **given)
        for round_number, system, workload in plan(base, [length], SYSTEM_NAMES, settings.rounds):
            print(f"round {round_number + 1} of {settings.rounds}: {system}", file=sys.stderr, flush=True)
            runs.append({"round": round_number, **measured(system, workload)})
            yield {
                **head,
                "runs": runs,
                "summary": summarise(runs),
                "ratios": compare(runs, "dialogue"),
                "shares": summarise_shares(runs),
            }


def summarise_shares(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Median, least and greatest share of the rollout's time, by system and name."""
    systems = dict.fromkeys(run["system"] for run in runs)
    return {
        system: {
            name: spread(run["shares"][name] for run in runs if run["system"] == system)
            for name in ("environment", "partner")
        }
        for system in systems
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks dialogue-throughput", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--model", default="tiny", help="alias, hub id or folder; with tiny's special tokens")
    add("--n-turns", type=int, default=8, help="turns of the agent in a dialogue")
    add("--turn-tokens", type=int, default=12, help="tokens of each")
    add("--user-tokens", type=int, default=8, help="tokens of each turn of the user, without its frame")
    add("--rounds", type=int, default=5, help="times that each system is measured")
    add("--n-envs", type=int, default=64)
    add("--minibatch", type=int, default=16, help="episodes in a minibatch")
    add("--measured-tokens", type=int, default=24_576, help="tokens that the agent writes in a measurement, at least")
    add("--warmup", type=int, default=1, help="iterations before them")
    add("--json", metavar="FILE", help="also write everything to this file")
    return parser


if __name__ == "__main__":
    main()
