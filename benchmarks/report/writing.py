"""Writes the report: an HTML page that needs nothing else, and Markdown with figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.atomic_files import write_atomically
from benchmarks.report.analysis import analyse
from benchmarks.report.contents import contents
from benchmarks.report.drawing import drawings
from benchmarks.report.formats import with_interval
from benchmarks.report.grid import Grid, read_grid
from lm_envs.errors import ConfigurationError, MissingDependencyError

TEMPLATES = Path(__file__).with_name("templates")
PAGE, MARKDOWN = "report.html", "report.md"


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write ``report.html``, ``report.md`` and ``figures/*.svg``.

    Args:
        folder: The results.
        out: Where to write; the folder of the results where it is None.

    Returns:
        The page.

    Raises:
        ConfigurationError: ``out`` cannot be written.
        DataError: See :func:`~benchmarks.report.grid.read_grid`.
        MissingDependencyError: One of the packages of the extra ``benchmarks`` is not installed.
    """
    texts = rendered(read_grid(folder))
    target = out or folder
    try:
        for name, text in texts.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target / name, text)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write the report into {str(target)!r}: {error}. Choose another folder with --out."
        ) from error
    return target / PAGE


def rendered(grid: Grid) -> dict[str, str]:
    """The texts of all files by their paths in the folder."""
    html, markdown = _templates(autoescape=True), _templates(autoescape=False)
    analysis = analyse(grid)
    values = {**contents(grid, analysis), "cases": grid.cases, "figures": drawings(grid, analysis)}
    files = {f"figures/{name}.svg": drawing.file for name, drawing in values["figures"].items()}
    page = html.get_template("report.html.jinja").render(**values)
    return {**files, MARKDOWN: markdown.get_template("report.md.jinja").render(**values), PAGE: page}


def _templates(autoescape: bool) -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError.for_package("jinja2", "benchmarks", "the report's page") from error
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["with_interval"] = with_interval
    made.filters["one_line"] = one_line
    return made


def one_line(text: str) -> str:
    """A text as one cell of a Markdown table, where nothing in it is markup."""
    for special in "\\`*_[]<>|":
        text = text.replace(special, f"\\{special}")
    return " \N{DOWNWARDS ARROW WITH CORNER LEFTWARDS} ".join(text.splitlines())
