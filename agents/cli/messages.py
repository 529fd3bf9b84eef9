"""What the command line says, to whom, and how an error looks."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.text import Text

from lm_envs.errors import LMEnvsError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


@functools.cache
def console() -> Console:
    """Standard output; rich leaves colours out where it is no terminal or ``NO_COLOR`` is set."""
    return Console(highlight=False)


@functools.cache
def error_console() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def printable(text: str) -> str:
    """``text`` without control characters other than the line end: a model's text must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


@contextlib.contextmanager
def errors_as_messages(debug: bool = False, interrupted: str = "interrupted") -> Iterator[None]:
    """Turn an error that is the user's to mend into one message and exit status 2.

    Args:
        debug: Let it through with its traceback.
        interrupted: What to say on Ctrl-C.
    """
    _show_log_lines()
    try:
        yield
    except LMEnvsError as error:
        if debug:
            raise
        say("error", "red", str(error))
        raise typer.Exit(EXIT_USAGE) from None
    except KeyboardInterrupt:
        if debug:
            raise
        say("stopped", "yellow", interrupted)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def say(label: str, style: str, message: str) -> None:
    """Print a labelled message on standard error."""
    error_console().print(Text.assemble((f"{label}: ", f"bold {style}"), printable(message)), soft_wrap=True)


class _ConsoleHandler(logging.Handler):
    """Shows log lines of this project as messages, also beside a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.levelname.lower(), "yellow", record.getMessage())


def _show_log_lines() -> None:
    for name in ("agents", "lm_envs"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
            logger.addHandler(_ConsoleHandler(logging.WARNING))
            logger.propagate = False
