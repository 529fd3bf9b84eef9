"""Rows turned into columns. A table is a dict of columns of one length, None where a row lacks a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.errors import DataError, UnknownNameError

Table = dict[str, list[Any]]


def table_of(rows: Sequence[Any], prompt_column: str, place: str) -> Table:
    """Turn rows into a table.

    Args:
        rows: Texts, which are prompts, or mappings from column names to values; not both.
        prompt_column: The column for rows that are texts.
        place: Where the rows come from, for error messages.

    Raises:
        DataError: There is no row, or a row is something else.
    """
    if not rows:
        raise DataError(f"{place} is empty: expected at least one row.")
    kind = str if isinstance(rows[0], str) else Mapping
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, kind):
            raise DataError(
                f"row {number} of {place} is {_show(row)}; expected rows that are all texts or all mappings "
                "from column names to values."
            )
    if kind is str:
        return {prompt_column: list(rows)}
    names = dict.fromkeys(name for row in rows for name in row)
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"{place}: the names of columns have to be texts, got {list(names)}.")
    return {name: [row.get(name) for row in rows] for name in names}


def n_rows(table: Table) -> int:
    """The number of rows."""
    return len(next(iter(table.values()), []))


def take(table: Table, indices: Sequence[int]) -> Table:
    """The rows at ``indices``."""
    return {name: [values[i] for i in indices] for name, values in table.items()}


def check_prompts(table: Table, prompt_column: str, place: str) -> None:
    """Check that the column with the prompts is there and holds texts.

    Raises:
        DataError: It does not.
    """
    if not table or n_rows(table) == 0:
        raise DataError(f"{place} is empty: expected at least one row.")
    check_column(table, prompt_column, place, "Name the column with the prompts: prompt_column=...")
    for number, prompt in enumerate(table[prompt_column], start=1):
        if not isinstance(prompt, str):
            hint = " Turn chat messages into text with the tokenizer's apply_chat_template."
            raise DataError(
                f"a prompt has to be a text, but row {number} of {place} has {_show(prompt)} in the column "
                f"{prompt_column!r}.{hint if isinstance(prompt, (list, dict)) else ''}"
            )


def check_column(table: Table, column: str, place: str, remedy: str) -> None:
    """Raise DataError, which lists the columns that are there, if ``column`` is not."""
    if column not in table:
        message = UnknownNameError.for_name("column", column, table, remedy)
        raise DataError(f"{place}: {message}")


def _show(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
