"""Column files as the CoNLL shared tasks have them: a word a line, an empty line after each sentence.

Format: https://www.clips.uantwerpen.be/conll2003/ner/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lm_envs.errors import DataError

DOCUMENT_START = "-DOCSTART-"
SUFFIXES = (".conll", ".txt", ".bio", ".iob", ".iob2", ".tsv")


def read_conll(path: Path, token_column: int = 0, label_column: int = -1) -> list[tuple[list[str], list[str]]]:
    """Words and labels of each sentence of a column file; lines with ``-DOCSTART-`` are left out.

    Args:
        path: The file, UTF-8. Its columns are separated by tabs if there is a tab in the line, else by spaces.
        token_column: Number of the column with the words, from 0; negative: from the end.
        label_column: Number of the column with the labels.

    Raises:
        DataError: The file cannot be read, has no sentence, lines differ in their number of columns, or there is no
            such column.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}.") from error
    sentences: list[tuple[list[str], list[str]]] = []
    first: tuple[int, int] | None = None  # line and number of columns
    for line, number, fields in _blocks(lines):
        place = f"line {line} of {path}, word {number + 1} of sentence {len(sentences) + (number == 0)},"
        first = first or (line, len(fields))
        if len(fields) != first[1]:
            raise DataError(
                f"{place} has {len(fields)} columns, {fields}, and line {first[0]} has {first[1]}; expected as many in "
                "each line. Columns are separated by spaces, or by tabs, which let words have spaces in them; take out "
                "comments."
            )
        word, label = _chosen(fields, token_column, label_column, place)
        if number == 0:
            sentences.append(([], []))
        sentences[-1][0].append(word)
        sentences[-1][1].append(label)
    if not sentences:
        raise DataError(f"{path} has no sentence: expected lines with a word and its label, and empty lines between.")
    return sentences


def _chosen(fields: list[str], token_column: int, label_column: int, place: str) -> tuple[str, str]:
    """The word and the label."""
    n_fields = len(fields)
    known = all(-n_fields <= column < n_fields for column in (token_column, label_column))
    if known and token_column % n_fields != label_column % n_fields:
        word, label = fields[token_column].strip(), fields[label_column].strip()
        if word and label:
            return word, label
    raise DataError(
        f"{place} has the columns {fields}; expected a word in column {token_column} and its label in another column, "
        f"{label_column}. Pass token_column=... and label_column=..., which count from 0, or from the end if negative."
    )


def _blocks(lines: list[str]) -> Iterator[tuple[int, int, list[str]]]:
    """The number of each line with a word, from 1, the word's number in its sentence, from 0, and the columns."""
    number = 0
    for place, line in enumerate(lines, start=1):
        fields = line.rstrip("\r").split("\t") if "\t" in line else line.split()
        if not line.strip() or fields[0] == DOCUMENT_START:
            number = 0
            continue
        yield place, number, fields
        number += 1
