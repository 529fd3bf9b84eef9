"""Which rows belong to the training, validation and test split."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from lm_envs.data.tables import Table, n_rows, take
from lm_envs.errors import DataError, UnknownNameError

SPLITS = ("train", "validation", "test")
SHARES = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
SPLIT_COLUMN = "split"
SMALLEST_TO_SPLIT = 10

_ALIASES = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "eval": "validation",
}
_logger = logging.getLogger(__name__)


def canonical(split: str) -> str:
    """The split's usual name: ``"validation"`` for ``"val"``, ``"valid"``, ``"dev"`` and ``"eval"``."""
    name = _ALIASES.get(split.lower(), split.lower())
    return name if name in SPLITS else split


def choose_split(tables: dict[str, Table], split: str, place: str) -> Table:
    """One split of a source that says itself what its splits are.

    Raises:
        DataError: There is no such split.
    """
    tables = {canonical(name): table for name, table in tables.items()}
    if canonical(split) not in tables:
        raise DataError(f"{place}: {UnknownNameError.for_name('split', split, tables)}")
    return tables[canonical(split)]


def split_table(table: Table, prompt_column: str, split: str, place: str, text_of: Callable[[Any], str] = str) -> Table:
    """One split of a source of which all rows are in one place.

    A column ``split`` decides, if it holds names of splits. Otherwise each prompt's hash does: 80% train, 10%
    validation, 10% test. A prompt then keeps its split, whatever the order of the rows and whatever rows are
    added, and equal prompts are in the same split. A source with fewer than ten different prompts is too
    small to be split: each split has all rows.

    Args:
        table: All rows.
        prompt_column: The column with the prompts.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        place: Where the rows come from, for error messages.
        text_of: Makes a text of a prompt that is none.

    Raises:
        DataError: There is no such split, or the column ``split`` has a name that is not one of a split.
    """
    if has_split_column(table, place):
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(table[SPLIT_COLUMN]):
            groups.setdefault(canonical(name), []).append(i)
        rest = {name: values for name, values in table.items() if name != SPLIT_COLUMN}
        return choose_split({name: take(rest, rows) for name, rows in groups.items()}, split, place)
    if canonical(split) not in SPLITS:
        raise DataError(f"{place}: {UnknownNameError.for_name('split', split, SPLITS)}")
    return take(table, _hash_split([text_of(prompt) for prompt in table[prompt_column]], canonical(split), place))


def has_split_column(table: Table, place: str) -> bool:
    """Whether the table has a column ``split`` with the names of splits.

    Raises:
        DataError: Some of the column's values are names of splits and some are not.
    """
    values = table.get(SPLIT_COLUMN, [])
    unknown = [v for v in values if not isinstance(v, str) or canonical(v) not in SPLITS]
    if unknown and len(unknown) < len(values):
        message = UnknownNameError.for_name("split", unknown[0], SPLITS)
        raise DataError(f"{place}: the column {SPLIT_COLUMN!r} of row {values.index(unknown[0]) + 1} has an {message}")
    return n_rows(table) > 0 and SPLIT_COLUMN in table and not unknown


def _hash_split(prompts: Sequence[str], split: str, place: str) -> list[int]:
    """The rows of a split, by the hash of their prompts."""
    places = {prompt: _hash(prompt) for prompt in prompts}
    if len(places) < SMALLEST_TO_SPLIT:
        if split != "train":
            _logger.warning(
                "%s has only %d different prompts: too few to split, so %s has the same rows as train.",
                *(place, len(places), split),
            )
        return list(range(len(prompts)))
    if len({_split_at(value) for value in places.values()}) < len(SPLITS):  # by chance one would be empty
        ranked = sorted(places, key=lambda prompt: places[prompt])
        places = {prompt: rank / len(ranked) for rank, prompt in enumerate(ranked)}
    return [i for i, prompt in enumerate(prompts) if _split_at(places[prompt]) == split]


def _hash(prompt: str) -> float:
    """A number in 0 to 1 that depends on the prompt alone."""
    digest = hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _split_at(position: float) -> str:
    return next(split for split, (low, high) in SHARES.items() if low <= position < high)


def split_of_file_name(stem: str) -> str | None:
    """The split that a file's name begins with: ``train``, ``val_2024``, ``test-00000-of-00002``."""
    for name in (*SPLITS, *_ALIASES):
        rest = stem.lower().removeprefix(name)
        if rest != stem.lower() and (not rest or rest[0] in "-_."):
            return canonical(name)
    return None
