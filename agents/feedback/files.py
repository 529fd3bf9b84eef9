"""Feedback from files and into files: stores of answers, and data sets in the formats of TRL and Hugging Face."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from agents.atomic_files import write_atomically
from agents.feedback.examples import Demonstration, Feedback, Preference, Rating
from agents.feedback.from_answers import feedback_of
from agents.feedback.rows import example_of, row_of
from agents.feedback.store import FeedbackStore
from lm_envs.data.folders import neighbours_hint
from lm_envs.data.readers import READERS, read_file
from lm_envs.data.tables import n_rows
from lm_envs.errors import ConfigurationError, DataError, UnknownNameError

STORE_SUFFIXES = (".sqlite", ".sqlite3", ".db")
OnIdentical = Literal["raise", "drop"]

_logger = logging.getLogger(__name__)


def read_feedback(
    source: str | Path | Sequence[str | Path], *, on_identical: OnIdentical = "raise", leave_out_flagged: bool = False
) -> Feedback:
    """Read everything that can be learned from.

    Args:
        source: A file, a folder of which all files are joined whatever their names, or several of these. A file is a
            store of answers (``.sqlite``, ``.sqlite3``, ``.db``), of which the answers that count are read as
            :func:`~agents.feedback.from_answers.feedback_of` says; or a table (``.jsonl``, ``.json``, ``.csv``,
            ``.tsv``, ``.parquet``), of which each row is read as :func:`~agents.feedback.rows.example_of` says.
        on_identical: What to do with a comparison of two identical texts: ``"raise"`` an error that names the row, or
            ``"drop"`` it and log how many there were.
        leave_out_flagged: Use no answer to an item that anybody has flagged.

    Raises:
        DataError: A file is not there, is empty or malformed, or holds nothing to learn from; a column is missing; a
            row compares identical texts.
        ConfigurationError: ``on_identical`` is something else.
        MissingDependencyError: A file is a Parquet file and pyarrow is not installed.
    """
    if on_identical not in ("raise", "drop"):
        raise ConfigurationError(f"on_identical has to be 'raise' or 'drop', got {on_identical!r}.")
    sources = [source] if isinstance(source, (str, Path)) else list(source)
    joined = Feedback()
    for path in (path for one in sources for path in _files(Path(one).expanduser())):
        is_store = path.suffix.lower() in STORE_SUFFIXES
        _extend(joined, _read_store(path, leave_out_flagged) if is_store else _read_table(path, on_identical))
    if not joined:
        raise DataError("expected at least one file with feedback, got none.")
    return joined


def open_store(path: str | Path) -> FeedbackStore:
    """Open a store that is there, where :class:`FeedbackStore` would make a new one.

    Raises:
        DataError: There is no such file, or it is no store.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"there is no feedback file {str(path)!r}.{neighbours_hint(path)}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: expected a file that was written by 'lm-envs collect'.")
    return FeedbackStore(path)


def write_preferences(path: str | Path, preferences: Iterable[Preference]) -> int:
    """Write JSON lines ``prompt, chosen, rejected``, with ``margin`` and ``tie`` where there are.

    Returns:
        The number of rows.

    Raises:
        DataError: There is nothing to write; a file that is at ``path`` stays as it is.
        ConfigurationError: The folder is not there.
    """
    return _write_rows(path, [row_of(preference) for preference in preferences], "preferences")


def write_ratings(path: str | Path, ratings: Iterable[Rating]) -> int:
    """Write JSON lines ``prompt, completion, score``; see :func:`write_preferences`."""
    return _write_rows(path, [row_of(rating) for rating in ratings], "ratings")


def write_unpaired(path: str | Path, ratings: Iterable[Rating]) -> int:
    """Write JSON lines ``prompt, completion, label``: whether the score is over 0.5; of 0.5 itself nothing is said.

    See :func:`write_preferences`.
    """
    rows = [
        {"prompt": rating.prompt, "completion": rating.completion, "label": rating.score > 0.5}
        for rating in ratings
        if rating.score != 0.5
    ]
    return _write_rows(path, rows, "ratings above or below the middle")


def write_demonstrations(path: str | Path, demonstrations: Iterable[Demonstration]) -> int:
    """Write JSON lines ``prompt, completion``; see :func:`write_preferences`."""
    return _write_rows(path, [row_of(demonstration) for demonstration in demonstrations], "demonstrations")


def unpaired_of(feedback: Feedback) -> list[Rating]:
    """Judgements of single texts: the ratings, and of each comparison without a tie what was chosen and rejected.

    Returns:
        Ratings, each once; those that come from comparisons have the score 1 or 0.
    """
    decided = [preference for preference in feedback.preferences if not preference.tie]
    chosen = [Rating(preference.prompt, preference.chosen, 1.0) for preference in decided]
    rejected = [Rating(preference.prompt, preference.rejected, 0.0) for preference in decided]
    return list(dict.fromkeys([*feedback.ratings, *chosen, *rejected]))


def _files(path: Path) -> list[Path]:
    """The file, or the files of the folder."""
    known = (*STORE_SUFFIXES, *READERS)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in known)
        if not files:
            raise DataError(f"the folder {path} has no file of feedback; expected the suffix {', '.join(known)}.")
        return files
    if not path.is_file():
        raise DataError(f"there is no file or folder {str(path)!r}.{neighbours_hint(path)}")
    if path.suffix.lower() not in known:
        raise DataError(f"{path}: {UnknownNameError.for_name('file format', path.suffix, known)}")
    return [path]


def _read_store(path: Path, leave_out_flagged: bool) -> Feedback:
    answers = open_store(path).current_answers()
    feedback = feedback_of(answers, leave_out_flagged)
    if not feedback:
        raise DataError(
            f"{path} has no answer to learn from: {len(answers)} answers, none of them with a choice, a tie, a rating "
            "or an edit that may be used. Label items with 'lm-envs label'."
        )
    return feedback


def _read_table(path: Path, on_identical: OnIdentical) -> Feedback:
    table = read_file(path, "prompt")
    if n_rows(table) == 0:
        raise DataError(f"{path} is empty: expected at least one row.")
    rows = [{name: values[i] for name, values in table.items()} for i in range(n_rows(table))]
    examples = [example_of(row, f"row {number} of {path}") for number, row in enumerate(rows, start=1)]
    kept = [example for example in examples if example is not None]
    if len(kept) < len(examples):
        _report_identical(path, [number for number, e in enumerate(examples, start=1) if e is None], on_identical)
    if not kept:
        raise DataError(f"{path} has no row to learn from: expected at least one, got {len(examples)} identical pairs.")
    return Feedback(
        [example for example in kept if isinstance(example, Preference)],
        [example for example in kept if isinstance(example, Rating)],
        [example for example in kept if isinstance(example, Demonstration)],
    )


def _report_identical(path: Path, rows: Sequence[int], on_identical: OnIdentical) -> None:
    if on_identical == "raise":
        raise DataError(
            f"row {rows[0]} of {path} has identical texts as chosen and rejected, as have {len(rows) - 1} other rows: "
            "there is nothing to learn from such a pair. Take these rows out, or leave them out: on_identical='drop'."
        )
    _logger.warning("%s: %d pairs of identical texts are left out, the first in row %d.", path, len(rows), rows[0])


def _extend(feedback: Feedback, more: Feedback) -> None:
    feedback.preferences.extend(more.preferences)
    feedback.ratings.extend(more.ratings)
    feedback.demonstrations.extend(more.demonstrations)


def _write_rows(path: str | Path, rows: Sequence[dict[str, Any]], kind: str) -> int:
    path = Path(path).expanduser()
    if not rows:
        raise DataError(f"there are no {kind} to write into {str(path)!r}: the file is left as it is.")
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {str(path.parent)!r} to write {path.name!r} into.")
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows)
