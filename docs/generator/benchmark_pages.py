"""A page for each command of ``python -m benchmarks``: what its ``--help`` says."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from unittest import mock

from benchmarks.__main__ import COMMANDS
from docs.generator.command_pages import WIDTH
from docs.generator.page import Page
from docs.generator.suite_cases import cases_page


def benchmark_pages() -> list[Page]:
    """One page for each command that the dispatcher knows, and one with the cases of the suite."""
    return [*(_page(name, module, purpose) for name, (module, purpose) in COMMANDS.items()), cases_page()]


def _page(name: str, module: str, purpose: str) -> Page:
    command = f"python -m benchmarks {name}"
    lines = [f"# {command}", "", f"{purpose[0].upper()}{purpose[1:]}."]
    lines += ["", "```text", _help(name, module), "```", ""]
    return Page(name, command, purpose, "\n".join(lines))


def _help(name: str, module: str) -> str:
    """What the command prints for ``--help``."""
    printed = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH)}), contextlib.redirect_stdout(printed):
        with mock.patch("sys.argv", [f"python -m benchmarks {name}"]), contextlib.suppress(SystemExit):
            importlib.import_module(module).main(["--help"])
    return printed.getvalue().strip()
