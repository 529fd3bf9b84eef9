"""Dialogues of the user's own: rows with a list of messages, as chat data sets have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.data.loading import load_table
from lm_envs.data.tables import Table, n_rows
from lm_envs.errors import DataError, UnknownNameError

ROLES = ("system", "user", "assistant")


def load_dialogues(
    source: Any, *, messages_column: str = "messages", split: str = "train", columns: Sequence[str] | None = None
) -> Table:
    """Load one split of a user's dialogues, with the columns that belong to them.

    A dialogue is a list of mappings with ``role`` and ``content``: a system message, if any, then turns of the user
    and of the assistant by turns, the user's first.

    Args:
        source: A list of rows, a file, a folder, the id of a data set, or a ``datasets.Dataset``; and split as
            :func:`lm_envs.data.load_dataset` does it: all turns of a dialogue are in one split.
        messages_column: The column with the dialogues.
        split: ``"train"``, ``"validation"`` or ``"test"``, or another name that the source has.
        columns: Further columns to keep; None keeps all.

    Raises:
        DataError: The source is missing, empty or malformed; the split or a column is not there; a row has no
            dialogue, or its roles are unknown or out of order.
        MissingDependencyError: The source needs pyarrow or ``datasets``, which are not installed.
    """
    return load_table(source, messages_column, split, columns, check_dialogues, _text_of, kind="dialogues")


def check_dialogues(table: Table, messages_column: str, place: str) -> None:
    """Check that the column with the dialogues is there and that each row has one.

    Raises:
        DataError: Says which row and which message of it is wrong.
    """
    if not table or n_rows(table) == 0:
        raise DataError(f"{place} is empty: expected at least one row with a dialogue.")
    for number in range(1, n_rows(table) + 1):
        row = {name: values[number - 1] for name, values in table.items()}
        _check_dialogue(row, messages_column, f"row {number} of {place}")


def _text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """What a dialogue says, in one text, which decides on its split."""
    return json.dumps([[message["role"], message["content"]] for message in messages])


def _check_dialogue(row: Mapping[str, Any], column: str, place: str) -> None:
    if row.get(column) is None:
        remedy = "Expected a list of {'role': ..., 'content': ...} there; name the column: messages_column=..."
        there = [name for name, value in row.items() if value is not None]
        raise DataError(f"{place} has no messages: {UnknownNameError.for_name('column', column, there, remedy)}")
    messages = row[column]
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Sequence):
        raise DataError(
            f"{place} has {_show(messages)} ({type(messages).__name__}) in the column {column!r}; expected a list of "
            "messages {'role': ..., 'content': ...}."
        )
    for position, message in enumerate(messages, start=1):
        _check_message(message, f"message {position} of {place}")
    _check_order([message["role"] for message in messages], place)


def _check_message(message: Any, place: str) -> None:
    if not isinstance(message, Mapping) or not {"role", "content"} <= set(message):
        raise DataError(f"{place} is {_show(message)}; expected a mapping with the keys 'role' and 'content'.")
    if message["role"] not in ROLES:
        unknown = UnknownNameError.for_name("role", message["role"], ROLES, "Rename the roles in the data.")
        raise DataError(f"{place} has an {unknown}")
    content = message["content"]
    if not isinstance(content, str) or not content.strip():
        raise DataError(
            f"{place}, of the {message['role']}, has the content {_show(content)}; expected a text that is not empty. "
            "Leave out dialogues with pictures or tool calls, and turns without words."
        )


def _check_order(roles: Sequence[str], place: str) -> None:
    """Check that user and assistant take turns, the user first, after at most one system message."""
    start = int(roles[:1] == ["system"])
    for position, role in enumerate(roles[start:]):
        expected = ("user", "assistant")[position % 2]
        if role != expected:
            raise DataError(
                f"message {start + position + 1} of {place} is the {role}'s; expected one of the {expected}. After a "
                "system message, if any, user and assistant speak by turns, the user first. Join turns in a row."
            )
    if "assistant" not in roles:
        raise DataError(
            f"{place} has no turn of the assistant, only the roles {list(roles)}; expected at least one, which the "
            "agent's turn is compared with."
        )


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
