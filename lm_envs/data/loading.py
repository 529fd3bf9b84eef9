"""Loads a user's prompts, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lm_envs.data import folders, hub
from lm_envs.data.dataset import PromptDataset
from lm_envs.data.readers import read_file
from lm_envs.data.splits import choose_split, split_table
from lm_envs.data.tables import Table, check_column, check_prompts, table_of
from lm_envs.errors import DataError


def load_dataset(
    source: Any, *, prompt_column: str = "prompt", split: str = "train", columns: Sequence[str] | None = None
) -> PromptDataset:
    """Load one split of a user's prompts, with the columns that belong to them.

    A source that says itself what its splits are is believed: a folder with files ``train``, ``validation``
    and ``test``, a data set with several splits, a column ``split``. Any other source, also one that has
    nothing but a ``train`` split, is split by the hash of the prompts: 80% train, 10% validation, 10% test,
    the same rows every time. With fewer than ten different prompts each split has all rows, and asking for
    another split than ``"train"`` logs a warning.

    Args:
        source: One of

            - a list of prompts, or a list of mappings from column names to values;
            - a file: ``.jsonl``, ``.json`` (an array), ``.csv``, ``.tsv`` or ``.parquet``;
            - a folder with a file for each split, or one that ``datasets`` saved with ``save_to_disk``;
            - the id of a data set on the Hugging Face hub: ``"owner/name"``, ``"owner/name:configuration"``;
            - a ``datasets.Dataset`` or ``DatasetDict``;
            - a ``PromptDataset``, which is returned as it is.
        prompt_column: The column with the prompts.
        split: ``"train"``, ``"validation"`` or ``"test"``, or another name that the source has.
        columns: Further columns to keep; None keeps all. A value that a row lacks is None, and so is an
            empty cell of a CSV file.

    Raises:
        DataError: The source is missing, empty or malformed; the split or a column is not there; a prompt is
            not a text.
        MissingDependencyError: The source needs pyarrow or ``datasets``, which are not installed.
    """
    if isinstance(source, PromptDataset):
        return source
    table = load_table(source, prompt_column, split, columns, check_prompts)
    return PromptDataset(table.pop(prompt_column), table)


def load_table(
    source: Any,
    prompt_column: str,
    split: str,
    columns: Sequence[str] | None,
    check: Callable[[Table, str, str], None],
    text_of: Callable[[Any], str] = str,
    kind: str = "prompts",
    prepare: Callable[[Table, str], Table] | None = None,
) -> Table:
    """Load one split of a source as it is; see :func:`load_dataset`.

    Args:
        source: Where the data are.
        prompt_column: The column that decides on a row's split where the source has no splits.
        split: The split.
        columns: Further columns to keep; None keeps all.
        check: Called as ``check(table, prompt_column, place)`` before the table is used; raises DataError.
        text_of: Makes a text of a value of ``prompt_column`` that is none.
        kind: What these values are, for error messages.
        prepare: Called as ``prepare(table, place)`` with each split's table as it was read, returns what to use.

    Raises:
        DataError: The source is missing, empty or malformed; the split or a column is not there.
        MissingDependencyError: The source needs pyarrow or ``datasets``, which are not installed.
    """
    place = str(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__} of {kind}"
    tables = _read(source, prompt_column, place, kind)
    if prepare is not None:
        tables = {name: prepare(table, place) for name, table in tables.items()}
    if len(tables) == 1 and next(iter(tables)) in ("", "train"):
        whole = next(iter(tables.values()))
        check(whole, prompt_column, place)
        table = split_table(whole, prompt_column, split, place, text_of)
    else:
        table = choose_split(tables, split, place)
        check(table, prompt_column, place)
    if isinstance(columns, str):
        columns = [columns]
    names = [name for name in table if name != prompt_column] if columns is None else columns
    for name in names:
        check_column(table, name, place, "Check the names in columns=...")
    return {name: table[name] for name in (prompt_column, *names)}


def _read(source: Any, prompt_column: str, place: str, kind: str) -> dict[str, Table]:
    """All of the source's splits; ``""`` is the name of rows without a split."""
    if isinstance(source, (str, Path)):
        return _read_named(source, prompt_column)
    if hub.is_data_set(source):
        return hub.tables_of(source)
    if isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray)):
        return {"": table_of(source, prompt_column, place)}
    raise DataError(
        f"expected a list of {kind} or rows, a path, or a data set id as source of {kind}, got "
        f"{type(source).__name__}. Turn a pandas data frame into rows with .to_dict('records')."
    )


def _read_named(source: str | Path, prompt_column: str) -> dict[str, Table]:
    path = Path(source).expanduser()
    if path.is_file():
        return {"": read_file(path, prompt_column)}
    if path.is_dir():
        return hub.read_saved(path) if hub.is_saved_data_set(path) else folders.read_folder(path, prompt_column)
    hint = folders.neighbours_hint(path)
    if isinstance(source, Path) or folders.looks_like_path(source):
        raise DataError(f"there is no file or folder {str(source)!r}.{hint}")
    return hub.read_hub(source, hint)
