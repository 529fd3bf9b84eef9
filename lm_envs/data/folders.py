"""Finds data on disk: files, folders with a file for each split, and what was meant by a wrong name."""

from __future__ import annotations

import difflib
from pathlib import Path

from lm_envs.data.readers import READERS, read_file
from lm_envs.data.splits import split_of_file_name
from lm_envs.data.tables import Table
from lm_envs.errors import DataError


def read_folder(folder: Path, prompt_column: str) -> dict[str, Table]:
    """Read the files of a folder, split by split.

    ``train.jsonl`` or ``test-00000-of-00002.parquet`` belong to the split that their names begin with; files
    of one split are joined. A single file with another name is the split ``""``.

    Raises:
        DataError: There is no data file, or there are several whose names say no split.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS)
    splits: dict[str, list[Path]] = {}
    for path in files:
        split = split_of_file_name(path.stem)
        if split is not None:
            splits.setdefault(split, []).append(path)
    if not splits and len(files) == 1:
        splits[""] = files
    if not splits:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "nothing"
        raise DataError(
            f"the folder {folder} has no files for splits: expected train, validation and test with the "
            f"suffix {', '.join(READERS)}, or one single file; found {found}."
        )
    return {split: _join([read_file(path, prompt_column) for path in paths]) for split, paths in splits.items()}


def _join(tables: list[Table]) -> Table:
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for table in tables for name in table)
    lengths = [len(next(iter(table.values()), [])) for table in tables]
    return {
        name: [value for table, n in zip(tables, lengths, strict=True) for value in table.get(name, [None] * n)]
        for name in names
    }


def looks_like_path(source: str) -> bool:
    """Whether a name that does not exist on disk can only be meant as a path, not as a data set id."""
    path = Path(source)
    return path.suffix.lower() in READERS or source.startswith((".", "~", "/", "\\")) or len(path.parts) > 2


def neighbours_hint(path: Path) -> str:
    """A sentence with the most similar name beside ``path``, or nothing."""
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    names = [neighbour.name for neighbour in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f" Did you mean {str(path.with_name(close[0]))!r}?" if close else ""
