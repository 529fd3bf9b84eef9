"""Labels of words that mark entities: BIO, also called IOB2.

``B-PER`` begins an entity of the type ``PER``, ``I-PER`` continues it, ``O`` is outside of all entities (Ramshaw and
Marcus 1995, https://aclanthology.org/W95-0107/; IOB2: Tjong Kim Sang and Veenstra 1999,
https://aclanthology.org/E99-1023/).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lm_envs.errors import DataError, UnknownNameError

OUTSIDE = "O"
_OTHER_SCHEMES = ("E-", "S-", "L-", "U-")


class Entity(NamedTuple):
    """An entity: its type, the place of its first word, and the place after its last word."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Scheme:
    """The labels of some types of entities.

    Attributes:
        types: Names of the types, in the order of their labels.
    """

    types: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """``O``, then ``B-`` and ``I-`` of each type: the action ``i`` is the label ``labels[i]``."""
        return (OUTSIDE, *(f"{part}-{name}" for name in self.types for part in "BI"))

    @property
    def may_follow(self) -> npt.NDArray[np.bool_]:
        """Which label may stand after which, ``(n_labels + 1, n_labels)`` bool; the last row is a sentence's start."""
        continued = [[f"B-{name}", f"I-{name}"] for name in self.types]
        allowed = np.ones((len(self.labels) + 1, len(self.labels)), dtype=np.bool_)
        for label, pair in zip(range(2, len(self.labels), 2), continued, strict=True):
            allowed[:, label] = [before in pair for before in (*self.labels, "")]
        return allowed

    def check(self, labels: Sequence[str], place: str) -> None:
        """Check a sentence's labels.

        Args:
            labels: Of its words.
            place: Where the sentence is, for the error.

        Raises:
            DataError: A label is none of the scheme's, or ``I-`` stands without the ``B-`` before it.
        """
        known = self.labels
        for position, label in enumerate(labels):
            if label not in known:
                message = UnknownNameError.for_name("label", label, known)
                raise DataError(f"word {position + 1} of {place} has an {message}")
            before = labels[position - 1] if position else ""
            if label.startswith("I-") and before not in (f"B-{label[2:]}", label):
                where = f"after {before!r}" if before else "at the sentence's start"
                raise DataError(
                    f"word {position + 1} of {place} has the label {label!r} {where}; an entity begins with "
                    f"'B-{label[2:]}'. Where entities begin with I- the labels are IOB1: pass scheme='iob1', which "
                    "turns them into BIO."
                )


def types_of(labels: Iterable[str], place: str) -> list[str]:
    """The types of entities that labels name, in alphabetical order.

    Raises:
        DataError: A label is neither ``O`` nor ``B-TYPE`` nor ``I-TYPE``.
    """
    found = set()
    for label in set(labels) - {OUTSIDE}:
        if label[:2] not in ("B-", "I-") or len(label) < 3:
            raise DataError(f"{place} has the label {label!r}; expected 'O', 'B-TYPE' or 'I-TYPE'. {_mistake(label)}")
        found.add(label[2:])
    return sorted(found)


def _mistake(label: str) -> str:
    """What may have gone wrong with a label that is none."""
    if label[:2] in _OTHER_SCHEMES:
        return f"Labels with {label[:2]!r} are of BIOES or BILOU: write S- and U- as B-, and E- and L- as I-."
    if label[:2] in ("b-", "i-") or label == OUTSIDE.lower():
        return "Labels are upper case up to the hyphen."
    return "Is it another column? Pass label_column=N, which counts from 0, or from the end if negative."


def from_iob1(labels: Sequence[str]) -> tuple[str, ...]:
    """IOB1 as BIO: there an entity begins with ``I-``, and with ``B-`` only right after one of the same type."""
    pairs = zip(("", *labels[:-1]), labels, strict=True)
    return tuple(
        f"B-{label[2:]}" if label.startswith("I-") and before[2:] != label[2:] else label for before, label in pairs
    )


def entities(labels: Sequence[str]) -> list[Entity]:
    """The entities in a sentence's labels. An ``I-`` without its ``B-`` begins none.

    This is what ``seqeval`` finds with ``mode="strict", scheme=IOB2``.
    """
    found: list[Entity] = []
    for position, label in enumerate(labels):
        if label.startswith("B-"):
            found.append(Entity(label[2:], position, position + 1))
        elif label.startswith("I-") and found and found[-1].end == position and found[-1].type == label[2:]:
            found[-1] = found[-1]._replace(end=position + 1)
    return found
