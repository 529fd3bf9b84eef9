"""Where tagged sentences come from: the small world, column files, or rows."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_envs.data.folders import neighbours_hint
from lm_envs.data.readers import READERS
from lm_envs.data.splits import SPLITS, canonical, choose_split, split_of_file_name, split_table
from lm_envs.data.tables import Table
from lm_envs.errors import DataError, UnknownNameError
from lm_envs.tagging.conll import SUFFIXES, read_conll
from lm_envs.tagging.scheme import Scheme, from_iob1, types_of
from lm_envs.tagging.sentences import TaggedSentence, TaggedSentences

WORLD = "entities"
_ROW = '{"words": [...], "labels": [...]}'
Pairs = list[tuple[Sequence[str], Sequence[str]]]


def load_sentences(
    source: Any,
    split: str = "train",
    *,
    types: Sequence[str] | None = None,
    scheme: str = "bio",
    token_column: int = 0,
    label_column: int = -1,
) -> TaggedSentences:
    """Load one split of sentences whose words are labelled.

    Args:
        source: One of

            - ``"entities"``: the sentences of the small world, with people, places, things;
            - a column file of the CoNLL shared tasks, see :mod:`lm_envs.tagging.conll`;
            - a folder with such files, whose names begin with ``train``, ``dev`` or ``validation``, and ``test``;
            - a list of rows, ``{"words": [...], "labels": [...]}``, with a text ``"split"`` if it has splits.

            A single file, and rows without splits, are split by the hash of the sentences: 80% train, 10% validation,
            10% test; with fewer than ten different sentences each split has all of them.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        types: The types of entities; None: those of the data, whatever the split.
        scheme: ``"bio"``, checked strictly, or ``"iob1"``, which is turned into it.
        token_column: Number of a column file's column with the words, from 0; negative: from the end.
        label_column: Number of the column with the labels.

    Raises:
        DataError: The source is missing, empty or malformed, or a label is not of the scheme.
        UnknownNameError: There is no such split of the small world.
    """
    if isinstance(source, str) and source == WORLD:
        return _world(split, types)
    place = str(source) if isinstance(source, str | Path) else f"the {type(source).__name__} of sentences"
    tables = _read(source, place, token_column, label_column)
    if scheme == "iob1":
        for table in tables.values():
            table["labels"] = [from_iob1(labels) for labels in table["labels"]]
    found = Scheme(tuple(_types_of(tables, place) if types is None else types))
    if len(tables) == 1 and next(iter(tables)) in ("", "train"):
        whole = next(iter(tables.values()))
        _check_labels(whole, found, place)
        table = split_table(whole, "words", split, place, " ".join)
    else:
        table = choose_split(tables, split, place)
        _check_labels(table, found, f"{place} ({canonical(split)})")
    pairs = zip(table["words"], table["labels"], strict=True)
    return TaggedSentences([TaggedSentence(words, labels) for words, labels in pairs], found)


def _types_of(tables: Mapping[str, Table], place: str) -> list[str]:
    """The types of all splits, in alphabetical order."""
    found: set[str] = set()
    for name, table in tables.items():
        for number, labels in enumerate(table["labels"], start=1):
            found.update(types_of(labels, f"sentence {number} of {place}{name and f' ({name})'}"))
    return sorted(found)


def _check_labels(table: Table, scheme: Scheme, place: str) -> None:
    """Check the labels before a source is split, so that messages have its own numbers."""
    for number, labels in enumerate(table["labels"], start=1):
        scheme.check(labels, f"sentence {number} of {place}")


def _world(split: str, types: Sequence[str] | None) -> TaggedSentences:
    from lm_envs.world.entities import ENTITY_TYPES, entity_sentences

    scheme = Scheme(ENTITY_TYPES if types is None else tuple(types))
    sentences = [TaggedSentence(item.words, item.labels) for item in entity_sentences(split)]
    for number, sentence in enumerate(sentences, start=1):
        scheme.check(sentence.labels, f"sentence {number} of {WORLD!r}")
    return TaggedSentences(sentences, scheme)


def _read(source: Any, place: str, token_column: int, label_column: int) -> dict[str, Table]:
    """The tables of all splits; ``""`` is the name of sentences without a split."""
    if isinstance(source, str | Path):
        files = _files(Path(source).expanduser())
        pairs = {name: _of_files(paths, token_column, label_column) for name, paths in files.items()}
        return {name: _table(sentences, place) for name, sentences in pairs.items()}
    if not isinstance(source, Sequence) or not all(isinstance(row, Mapping) for row in source) or not source:
        raise DataError(
            f"expected sentences from 'entities', a column file, a folder of such files, or a list of rows {_ROW}, "
            f"got {source!r:.80} ({type(source).__name__})."
        )
    for number, row in enumerate(source, start=1):
        _check_row(row, f"row {number} of {place}")
    table = _table([(row["words"], row["labels"]) for row in source], place)
    return {"": {**table, **({"split": [row.get("split") for row in source]} if "split" in source[0] else {})}}


def _files(path: Path) -> dict[str, list[Path]]:
    if path.is_file():
        if path.suffix.lower() in READERS and path.suffix.lower() not in SUFFIXES:
            raise DataError(
                f"{path} is no column file: expected a word a line, with its label in another column, in a file with "
                f"one of the suffixes {', '.join(SUFFIXES)}. Or read it and pass a list of rows {_ROW}."
            )
        return {"": [path]}
    if not path.is_dir():
        meant = difflib.get_close_matches(str(path), [WORLD], n=1, cutoff=0.6)
        hint = f" Did you mean {WORLD!r}?" if meant else neighbours_hint(path)
        raise DataError(f"there is no file or folder {str(path)!r}.{hint}")
    found: dict[str, list[Path]] = {}
    for file in sorted(path.iterdir()):
        name = split_of_file_name(file.stem)
        if file.suffix.lower() in SUFFIXES and name is not None:
            found.setdefault(name, []).append(file)
    if not found:
        raise DataError(
            f"the folder {path} has no column files: expected {', '.join(SPLITS)} with the suffix "
            f"{', '.join(SUFFIXES)}, found {', '.join(sorted(file.name for file in path.iterdir())[:20]) or 'nothing'}."
        )
    return found


def _of_files(paths: Sequence[Path], token_column: int, label_column: int) -> Pairs:
    return [pair for path in paths for pair in read_conll(path, token_column, label_column)]


def _check_row(row: Mapping[str, Any], place: str) -> None:
    for name in ("words", "labels"):
        if name not in row:
            raise DataError(f"{place}: {UnknownNameError.for_name('key', name, map(str, row), f'Rename it: {_ROW}.')}")
        value = row[name]
        items = value if isinstance(value, Sequence) and not isinstance(value, str) else [None]
        if not all(isinstance(item, str) and item.strip() for item in items):
            numbers = any(isinstance(item, int) for item in items)
            remedy = " Numbers of labels have names: of a data set of the hub in its features." if numbers else ""
            raise DataError(
                f"{place} needs a list of texts, none of them empty, under {name!r}; got {value!r:.80}.{remedy}"
            )


def _table(pairs: Pairs, place: str) -> Table:
    for number, (words, labels) in enumerate(pairs, start=1):
        if not words or len(words) != len(labels):
            raise DataError(f"sentence {number} of {place} has {len(words)} words and {len(labels)} labels.")
    return {"words": [tuple(words) for words, _ in pairs], "labels": [tuple(labels) for _, labels in pairs]}
