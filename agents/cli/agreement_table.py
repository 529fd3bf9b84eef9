"""Annotators and how far they agree, for the terminal."""

from __future__ import annotations

import dataclasses

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.cli.messages import printable
from agents.feedback.agreement import Agreement, Counts


def print_agreement(console: Console, agreement: Agreement) -> None:
    """Print counts, shares of equal choices, and Krippendorff's alpha."""
    if not agreement.counts:
        console.print("nobody has answered yet")
        return
    console.print(_counts(agreement))
    if agreement.pairs:
        console.print(_pairs(agreement))
    console.print(Text("Krippendorff's alpha (1: all agree, 0: as by chance)", style="bold"))
    for name, value in (
        ("choices, nominal", agreement.choices_alpha),
        ("ratings, ordinal", agreement.ratings_alpha),
        ("ratings, interval", agreement.ratings_alpha_interval),
    ):
        console.print(f"  {name:18} {_number(value)}", markup=False)


def _counts(agreement: Agreement) -> Table:
    table = Table(header_style="bold")
    table.add_column("annotator", overflow="fold")
    for field in dataclasses.fields(Counts):
        table.add_column(field.name, justify="right")
    for name, counts in agreement.counts.items():
        table.add_row(Text(printable(name)), *map(str, dataclasses.astuple(counts)))
    return table


def _pairs(agreement: Agreement) -> Table:
    table = Table(header_style="bold")
    table.add_column("annotators", overflow="fold")
    table.add_column("items of both", justify="right")
    table.add_column("same choice", justify="right")
    for pair in agreement.pairs:
        share = "-" if pair.agreement is None else f"{pair.agreement:.0%}"
        table.add_row(Text(printable(" / ".join(pair.annotators))), str(pair.items), share)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
