"""``python -m benchmarks COMMAND``: everything that is measured here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from lm_envs.errors import UnknownNameError

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("benchmarks.suite.command", "algorithms and baselines on the cases of suite.yml, over several seeds"),
    "report": ("benchmarks.report.command", "tables, curves and texts of what was run, as HTML and Markdown"),
    "throughput": ("benchmarks.throughput", "tokens a second of acting and learning, beside other implementations"),
    "speed": ("benchmarks.speed_tables", "tokens a second against length, environments, size of the model"),
    "scaling": ("benchmarks.scaling", "learning with several processes under torchrun"),
    "roofline": ("benchmarks.roofline", "operations and bytes of the work against what the machine reaches"),
    "learning": ("benchmarks.learning", "one recipe of lm-envs train over several seeds"),
    "rlhf": ("benchmarks.rlhf", "two rounds of learning from feedback, and other ways to use it"),
    "over-optimisation": ("benchmarks.over_optimisation", "what a learned reward is worth as the policy drifts"),
    "labels": ("benchmarks.labels", "learning from rewards against learning from labels"),
    "dialogue-acts": ("benchmarks.dialogue_acts", "learners of dialogue acts against a policy that knows the rules"),
    "dialogue-throughput": ("benchmarks.dialogue_throughput", "conversations a second"),
    "stepping": ("benchmarks.stepping", "steps a second of the environments alone"),
}
"""Command -> module with ``main(arguments)``, and what it is for."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Hand the arguments to the command's module, which is imported only now.

    Raises:
        SystemExit: There is no such command, or the command ends so.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return
    if given[0] not in COMMANDS:
        raise SystemExit(f"error: {UnknownNameError.for_name('command', given[0], COMMANDS)}")
    importlib.import_module(COMMANDS[given[0]][0]).main(given[1:])


def overview() -> str:
    """All commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["python -m benchmarks COMMAND [--help]", "", *lines])


if __name__ == "__main__":
    main()
