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
        DataError: The file cannot be read, has no sentence, or a line has no such column.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}.") from error
    sentences: list[tuple[list[str], list[str]]] = []
    for number, fields in _blocks(lines):
        if number == 0:
            sentences.append(([], []))
        try:
            word, label = fields[token_column].strip(), fields[label_column].strip()
        except IndexError:
            word = label = ""
        if len(fields) < 2 or not word or not label:
            raise DataError(
                f"word {number + 1} of sentence {len(sentences)} of {path} has the columns {fields}; expected a word "
                f"in column {token_column} and its label in column {label_column}. Pass token_column=... and "
                "label_column=..., which count from 0, or from the end if negative."
            )
        sentences[-1][0].append(word)
        sentences[-1][1].append(label)
    if not sentences:
        raise DataError(f"{path} has no sentence: expected lines with a word and its label, and empty lines between.")
    return sentences


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The columns of each line with a word, and the word's number in its sentence."""
    number = 0
    for line in lines:
        fields = line.rstrip("\r").split("\t") if "\t" in line else line.split()
        if not line.strip() or fields[0] == DOCUMENT_START:
            number = 0
            continue
        yield number, fields
        number += 1
