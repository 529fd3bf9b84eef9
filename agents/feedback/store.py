"""Items and answers in one SQLite file that several processes may write, and that a killed one leaves whole."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.feedback.answers import Answer, GivenAnswer, Item
from lm_envs.errors import ConfigurationError, DataError

VERSION = 1
BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    prompt TEXT NOT NULL,
    completions TEXT NOT NULL,
    sources TEXT NOT NULL
);
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id INTEGER NOT NULL REFERENCES items (id),
    annotator TEXT NOT NULL,
    answer TEXT,
    request TEXT UNIQUE,
    time REAL NOT NULL
);
CREATE INDEX answers_by_annotator ON answers (annotator, item_id, number);
"""


@dataclass(frozen=True)
class Progress:
    """How far an annotator is.

    Attributes:
        done: Items with an answer of theirs.
        total: All items.
    """

    done: int
    total: int


class FeedbackStore:
    """Items to be labelled, and every answer that was ever given.

    Answers are only added. Of several answers of one annotator to one item the last one counts; taking an answer back
    is itself a row, without an answer, after which none counts. A method returns when what it wrote is on the disk
    (write-ahead log, ``synchronous=FULL``), so whatever kills the process afterwards loses nothing. Any number of
    threads and processes may use one file.

    Args:
        path: The file; made where it is not there.

    Raises:
        DataError: The file is no store of feedback, or one of a newer version.
        ConfigurationError: The file cannot be made.

    References:
        https://www.sqlite.org/wal.html
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise ConfigurationError(f"there is no folder {str(self.path.parent)!r} for the feedback file.")
        with self._connected() as db:
            if _version(db) != VERSION:
                self._make_tables(db)
            _use_write_ahead_log(db)

    def _make_tables(self, db: sqlite3.Connection) -> None:
        """Make the tables in a file that has none, unless another process has done so by now."""
        with _transaction(db):
            version = _version(db)
            (n_tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version > VERSION or (version == 0 and n_tables):
                raise DataError(
                    f"{str(self.path)!r} is an SQLite file, but no store of feedback that this version reads."
                )
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")

    def add_items(self, items: Iterable[Item]) -> int:
        """Add items; those that are there already, with completions in whatever order, are left as they are.

        Returns:
            How many are new.
        """
        rows = [(i.fingerprint, i.prompt, json.dumps(i.completions), json.dumps(i.sources)) for i in items]
        with self._connected() as db, _transaction(db):
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO items (fingerprint, prompt, completions, sources) VALUES (?, ?, ?, ?)", rows
            )
            return db.total_changes - before

    def items(self) -> dict[int, Item]:
        """All items by number, in the order in which they came."""
        with self._connected() as db:
            rows = db.execute("SELECT id, prompt, completions, sources FROM items ORDER BY id").fetchall()
        return {row[0]: _item(*row[1:]) for row in rows}

    def item(self, item_id: int) -> Item:
        """One item.

        Raises:
            DataError: There is none of that number.
        """
        with self._connected() as db:
            return _find_item(db, item_id)

    def number_of(self, item: Item) -> int | None:
        """The number of an item; None where it is not there."""
        with self._connected() as db:
            row = db.execute("SELECT id FROM items WHERE fingerprint = ?", (item.fingerprint,)).fetchone()
        return None if row is None else row[0]

    def next_item(self, annotator: str) -> tuple[int, Item] | None:
        """The first item that ``annotator`` has not answered, with its number; None where all are."""
        name = annotator_name(annotator)
        with self._connected() as db:
            row = db.execute(
                "SELECT id, prompt, completions, sources FROM items WHERE id NOT IN "
                f"(SELECT item_id FROM ({_CURRENT_OF_ONE})) ORDER BY id LIMIT 1",
                (name,),
            ).fetchone()
        return None if row is None else (row[0], _item(*row[1:]))

    def add_answer(self, item_id: int, annotator: str, answer: Answer, request: str | None = None) -> bool:
        """Write an answer down.

        Args:
            item_id: The item's number.
            annotator: Who answers.
            answer: The answer.
            request: A name for this very answer, so that sending it twice does not write it twice.

        Returns:
            Whether it was written; False where ``request`` was written before.

        Raises:
            DataError: There is no such item, the answer does not fit it, or ``annotator`` has no name.
        """
        name = annotator_name(annotator)
        with self._connected() as db, _transaction(db):
            answer.check(_find_item(db, item_id))
            return _insert(db, item_id, name, json.dumps(answer.to_dict()), request)

    def add_answers(self, annotator: str, answers: Iterable[tuple[int, Answer]]) -> int:
        """Write many answers down, all of them or none.

        Args:
            annotator: Who answers.
            answers: Pairs of an item's number and the answer.

        Returns:
            How many.

        Raises:
            DataError: As :meth:`add_answer`.
        """
        name, n_answers = annotator_name(annotator), 0
        with self._connected() as db, _transaction(db):
            for item_id, answer in answers:
                answer.check(_find_item(db, item_id))
                n_answers += _insert(db, item_id, name, json.dumps(answer.to_dict()), None)
        return n_answers

    def undo(self, annotator: str, request: str | None = None) -> int | None:
        """Take back the answer that ``annotator`` gave last.

        Returns:
            The number of the item that is unanswered again; None where there was no answer to take back.
        """
        name = annotator_name(annotator)
        with self._connected() as db, _transaction(db):
            if request is not None:
                row = db.execute("SELECT item_id FROM answers WHERE request = ?", (request,)).fetchone()
                if row is not None:
                    return row[0]
            query = f"SELECT item_id FROM ({_CURRENT_OF_ONE}) ORDER BY number DESC LIMIT 1"
            row = db.execute(query, (name,)).fetchone()
            if row is not None:
                _insert(db, row[0], name, None, request)
            return None if row is None else row[0]

    def current_answers(self, annotator: str | None = None) -> list[GivenAnswer]:
        """The answers that count, oldest first: the last one of each annotator to each item.

        Args:
            annotator: Whose; None for everybody's.
        """
        return self._answers(_CURRENT, None) if annotator is None else self._answers(_CURRENT_OF_ONE, annotator)

    def history(self, annotator: str | None = None) -> list[GivenAnswer]:
        """Every answer that was ever given, oldest first, also those that were replaced or taken back."""
        own = "" if annotator is None else " AND annotator = ?"
        return self._answers(f"SELECT * FROM answers WHERE answer IS NOT NULL{own}", annotator)

    def annotators(self) -> list[str]:
        """Who has answered, in alphabetical order."""
        with self._connected() as db:
            return [row[0] for row in db.execute("SELECT DISTINCT annotator FROM answers ORDER BY annotator")]

    def progress(self, annotator: str) -> Progress:
        """How far ``annotator`` is."""
        name = annotator_name(annotator)
        with self._connected() as db:
            (total,) = db.execute("SELECT count(*) FROM items").fetchone()
            (done,) = db.execute(f"SELECT count(*) FROM ({_CURRENT_OF_ONE})", (name,)).fetchone()
        return Progress(done, total)

    def _answers(self, source: str, annotator: str | None) -> list[GivenAnswer]:
        """The answers in rows of ``source``, which has a place for the annotator's name unless that is None."""
        query = (
            "SELECT a.number, a.item_id, a.annotator, a.answer, a.time, i.prompt, i.completions, i.sources "
            f"FROM ({source}) AS a JOIN items AS i ON i.id = a.item_id"
        )
        chosen = () if annotator is None else (annotator_name(annotator),)
        with self._connected() as db:
            rows = db.execute(query + " ORDER BY a.number", chosen).fetchall()
        return [
            GivenAnswer(number, item_id, _item(*item), name, Answer.from_dict(json.loads(answer)), when)
            for number, item_id, name, answer, when, *item in rows
        ]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each call: they are cheap, and no thread waits for another's."""
        db = None
        try:
            db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            db.execute("PRAGMA synchronous = FULL")
            yield db
        except sqlite3.OperationalError as error:
            raise ConfigurationError(f"cannot use the feedback file {str(self.path)!r}: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise DataError(f"{str(self.path)!r} is no SQLite file, or damaged: {error}.") from error
        finally:
            if db is not None:
                db.close()


# The last row of each annotator for each item, unless it takes an answer back.
_CURRENT = """
SELECT * FROM answers
WHERE number IN (SELECT max(number) FROM answers GROUP BY annotator, item_id) AND answer IS NOT NULL
"""
_CURRENT_OF_ONE = """
SELECT * FROM answers
WHERE number IN (SELECT max(number) FROM answers WHERE annotator = ? GROUP BY item_id) AND answer IS NOT NULL
"""


def annotator_name(name: str) -> str:
    """An annotator's name without spaces around it.

    Raises:
        DataError: Nothing is left, or it is long or not printable.
    """
    name = name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        raise DataError(f"an annotator needs a name of 1 to 80 printable characters; got {name!r:.90}.")
    return name


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _use_write_ahead_log(db: sqlite3.Connection) -> None:
    """Switch once for all; SQLite does not wait by itself for others who use the new file at this moment."""
    deadline = time.monotonic() + BUSY_SECONDS
    while db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing; nobody else writes in between."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _insert(db: sqlite3.Connection, item_id: int, annotator: str, answer: str | None, request: str | None) -> bool:
    done = db.execute(
        "INSERT OR IGNORE INTO answers (item_id, annotator, answer, request, time) VALUES (?, ?, ?, ?, ?)",
        (item_id, annotator, answer, request, time.time()),
    )
    return bool(done.rowcount)


def _find_item(db: sqlite3.Connection, item_id: int) -> Item:
    row = db.execute("SELECT prompt, completions, sources FROM items WHERE id = ?", (item_id,)).fetchone()
    if row is None:
        raise DataError(f"there is no item {item_id!r} in the feedback file.")
    return _item(*row)


def _item(prompt: str, completions: str, sources: str) -> Item:
    return Item(prompt, tuple(json.loads(completions)), tuple(json.loads(sources)))
