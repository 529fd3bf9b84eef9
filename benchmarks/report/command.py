"""``python -m benchmarks report [FOLDER] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lm_envs.errors import LMEnvsError

RESULTS = Path("benchmarks/results/suite")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    from benchmarks.report.writing import write_report

    try:
        page = write_report(settings.folder, settings.out)
    except LMEnvsError as error:
        sys.exit(f"error: {error}")
    Console(soft_wrap=True).print(f"wrote {page} and, beside it, report.md and figures/", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks report", description="A folder of results as an HTML page and as Markdown."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=RESULTS, help="what 'run' wrote (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="where the report goes (default: into the folder of results)")
    return parser
