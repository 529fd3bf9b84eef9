"""Logs that grow line by line, and that a resumed run continues instead of starting over."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter, filter_excluded_keys

from agents.atomic_files import write_atomically

STEP_COLUMN = "time/total_timesteps"


class CsvLog(KVWriter):
    """Stable-Baselines3's ``progress.csv``, continued.

    Each row is appended and flushed; where a new column appears, the file is written again in one step.

    Args:
        path: The file. Rows behind ``after_step`` and a torn last line are dropped.
        after_step: The step at which the run goes on; 0 for a new file.
    """

    def __init__(self, path: Path, after_step: int = 0) -> None:
        self._path = path
        self._columns: list[str] = []
        rows = [row for row in read_csv(path) if _is_before(row, after_step)] if after_step else []
        for row in rows:
            self._columns += [name for name in row if name not in self._columns]
        self._rewrite(rows)

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Append a row."""
        values = filter_excluded_keys(key_values, key_excluded, "csv")
        new = [name for name in values if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite([*read_csv(self._path), values])
        else:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                self._writer(file).writerow(values)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO(newline="")
        if self._columns:
            writer = self._writer(text)
            writer.writeheader()
            writer.writerows(rows)
        write_atomically(self._path, text.getvalue())

    def _writer(self, file: Any) -> csv.DictWriter[str]:
        return csv.DictWriter(file, self._columns, restval="", lineterminator="\n")


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a log, as texts; a last line without its end is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))


def read_columns(path: Path, *names: str) -> list[tuple[float, ...]]:
    """Numbers of some columns, of the rows that have all of them."""
    found = []
    for row in read_csv(path):
        texts = [row.get(name) or "" for name in names]
        if all(texts):
            found.append(tuple(float(text) for text in texts))
    return found


class JsonLinesLog:
    """One JSON object a line, with a ``step``; continued like :class:`CsvLog`.

    Args:
        path: The file.
        after_step: The step at which the run goes on; later lines are dropped. 0 for a new file.
    """

    def __init__(self, path: Path, after_step: int = 0) -> None:
        self._path = path
        rows = [row for row in read_json_lines(path) if row["step"] <= after_step] if after_step else []
        write_atomically(path, "".join(_line(row) for row in rows))

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Append rows, in one write."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(_line(row) for row in rows))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; what a killed process tore is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].split("\n") if line]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _is_before(row: dict[str, Any], step: int) -> bool:
    return bool(row.get(STEP_COLUMN)) and float(row[STEP_COLUMN]) <= step
