"""A page for each command of ``lm-envs``: what its ``--help`` says."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from agents.cli import app
from docs.generator.docstrings import first_sentence
from docs.generator.page import Page

WIDTH = 78


def command_pages() -> list[Page]:
    """One page for each command; the commands of a group stand on the group's page."""
    return [_page(name, command) for name, command in sorted(subcommands(get_command(app)).items())]


def subcommands(command: Any) -> dict[str, Any]:
    """The commands of a group by name; none of a command that is no group."""
    return getattr(command, "commands", {})


def _page(name: str, command: Any) -> Page:
    lines = [f"# lm-envs {name}", ""]
    for words in _with_subcommands([name], command):
        lines += [
            *([f"## lm-envs {' '.join(words)}", ""] if len(words) > 1 else []),
            "```text",
            help_of(words),
            "```",
            "",
        ]
    return Page(name, f"lm-envs {name}", first_sentence(inspect.cleandoc(command.help or "")), "\n".join(lines))


def _with_subcommands(words: list[str], command: Any) -> Iterator[list[str]]:
    yield words
    for name, each in sorted(subcommands(command).items()):
        yield from _with_subcommands([*words, name], each)


def help_of(words: list[str]) -> str:
    """What ``lm-envs WORDS --help`` prints, without colours."""
    plain = {"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"}
    result = CliRunner().invoke(app, [*words, "--help"], env=plain, prog_name="lm-envs")
    if result.exit_code:
        raise RuntimeError(f"lm-envs {' '.join(words)} --help failed: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines())
