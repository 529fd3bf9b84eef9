"""Reads JSON lines, JSON, CSV and Parquet files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_envs.data.tables import Table, table_of
from lm_envs.errors import DataError, MissingDependencyError, UnknownNameError


def read_file(path: Path, prompt_column: str) -> Table:
    """Read a file; its suffix says in which format it is.

    Raises:
        DataError: The format is unknown, or the file is empty or malformed.
        MissingDependencyError: The file is a Parquet file and pyarrow is not installed.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: {UnknownNameError.for_name('file format', path.suffix, READERS)}")
    try:
        return reader(path, prompt_column)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}.") from error


def _read_json_lines(path: Path, prompt_column: str) -> Table:
    rows = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                rows.append(_parse_json(line, f"line {number} of {path}"))
                if not isinstance(rows[-1], (str, dict)):
                    raise DataError(
                        f"line {number} of {path} has to be a JSON object or a string, got: {line.strip()[:80]}"
                    )
    return table_of(rows, prompt_column, str(path))


def _read_json(path: Path, prompt_column: str) -> Table:
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        raise DataError(f"{path} is empty: expected at least one row.")
    rows = _parse_json(text, str(path))
    if not isinstance(rows, list):
        raise DataError(
            f"{path} has to hold a JSON array of objects or strings, got {type(rows).__name__}. Is it a file "
            "of JSON lines? Then name it .jsonl."
        )
    return table_of(rows, prompt_column, str(path))


def _parse_json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        shown = text.strip()[:80]
        hint = " Is it a file of JSON lines? Then name it .jsonl." if error.msg == "Extra data" else ""
        raise DataError(f"{place} is not valid JSON: {error}.{hint} It begins with: {shown}") from error


def _read_csv(path: Path, prompt_column: str, delimiter: str = ",") -> Table:
    """Values stay texts; an empty cell is None."""
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        try:
            for row in reader:
                if None in row:
                    raise DataError(
                        f"line {reader.line_num} of {path} has more fields than the header, which has "
                        f"{len(reader.fieldnames or ())}. Put values with the delimiter in them in double "
                        "quotes."
                    )
                rows.append({name: value or None for name, value in row.items()})
        except csv.Error as error:
            raise DataError(f"line {reader.line_num} of {path} is malformed: {error}.") from error
    return table_of(rows, prompt_column, str(path))


def _read_tsv(path: Path, prompt_column: str) -> Table:
    return _read_csv(path, prompt_column, delimiter="\t")


def _read_parquet(path: Path, prompt_column: str) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError.for_package("pyarrow", "data", f"reading {path.name}") from error
    try:
        return dict(parquet.read_table(path).to_pydict())
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a valid Parquet file: {error}.") from error


READERS: dict[str, Callable[[Path, str], Table]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}
