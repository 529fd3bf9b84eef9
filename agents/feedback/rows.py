"""Rows of data sets of feedback, in the formats of TRL and of the Hugging Face hub.

References:
    https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from agents.feedback.examples import Demonstration, Preference, Rating
from agents.feedback.from_answers import score_of
from agents.feedback.messages import split_shared_messages, text_of
from lm_envs.errors import DataError, UnknownNameError

Example = Preference | Rating | Demonstration

JUDGEMENTS = ("score", "rating", "label")
_FORMATS = (("prompt", "chosen", "rejected"), ("prompt", "completion"))
_EXPECTED = (
    "Expected the columns prompt, chosen and rejected; or prompt, completion and one of label, rating and score; or "
    "prompt and completion."
)
_TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def example_of(row: Mapping[str, Any], place: str) -> Example | None:
    """What a row says; None where the texts that it compares are identical.

    Args:
        row: Values by column; a column with None is not there. Texts may be lists of messages. ``prompt, chosen,
            rejected`` is a comparison, with ``margin`` and ``tie`` if they are there; ``prompt, completion`` with a
            ``score`` from 0 to 1, a ``rating`` from 1 to 5 or a ``label`` of true or false, the first of these that is
            there, is a rating; ``prompt, completion`` alone is a text to imitate. Other columns are not looked at.
        place: Where the row is, for error messages.

    Raises:
        DataError: A column is missing, or has a value that is not understood.
    """
    there = {name: value for name, value in row.items() if value is not None}
    if {"chosen", "rejected"} <= set(there):
        return _preference(there, place)
    if not {"prompt", "completion"} <= set(there):
        raise DataError(f"{place}: {_missing_column(there)}")
    prompt, completion = (text_of(there[name], name, place) for name in ("prompt", "completion"))
    for name in JUDGEMENTS:
        if name in there:
            return Rating(prompt, completion, _score(name, there[name], place))
    return Demonstration(prompt, completion)


def _preference(row: Mapping[str, Any], place: str) -> Preference | None:
    shared, chosen, rejected = split_shared_messages(row["chosen"], row["rejected"])
    prompt = row.get("prompt", shared or None)
    if prompt is None:
        raise DataError(f"{place}: {_missing_column(row)}")
    chosen, rejected = text_of(chosen, "chosen", place), text_of(rejected, "rejected", place)
    if chosen == rejected:
        return None
    margin = _number("margin", row.get("margin", 0.0), place)
    if margin < 0:
        raise DataError(f"{place} has the margin {margin}; expected at least 0. Swap chosen and rejected.")
    return Preference(
        text_of(prompt, "prompt", place), chosen, rejected, margin, _truth("tie", row.get("tie", False), place)
    )


def _score(name: str, value: Any, place: str) -> float:
    if name == "label":
        return float(_truth(name, value, place))
    number = _number(name, value, place)
    low, high = (1, 5) if name == "rating" else (0, 1)
    if not low <= number <= high:
        raise DataError(f"{place} has the {name} {value!r}; expected a number from {low} to {high}.")
    return score_of(number) if name == "rating" else number


def _number(name: str, value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise DataError(f"{place} has {value!r:.80} in the column {name!r}; expected a number.")
    return number


def _truth(name: str, value: Any, place: str) -> bool:
    truth = _TRUTHS.get(str(value).strip().lower())
    if truth is None:
        remedy = " Numbers are read from the columns rating (1 to 5) and score (0 to 1)." if name == "label" else ""
        raise DataError(f"{place} has {value!r:.80} in the column {name!r}; expected true or false.{remedy}")
    return truth


def _missing_column(there: Mapping[str, Any]) -> UnknownNameError:
    """The error that names the first missing column of the format that the columns resemble most."""
    names = max(_FORMATS, key=lambda names: sum(_resemblance(name, there) for name in names) / len(names))
    missing = next(name for name in names if name not in there)
    return UnknownNameError.for_name("column", missing, set(there) - set(names), _EXPECTED)


def _resemblance(name: str, there: Sequence[str] | Mapping[str, Any]) -> float:
    return max((difflib.SequenceMatcher(None, name, other).ratio() for other in there), default=0.0)


def row_of(example: Example) -> dict[str, Any]:
    """The row that :func:`example_of` reads as ``example``, without what is not said."""
    row: dict[str, Any] = {"prompt": example.prompt}
    if isinstance(example, Preference):
        row |= {"chosen": example.chosen, "rejected": example.rejected}
        row |= {"margin": example.margin} if example.margin else {}
        return row | ({"tie": True} if example.tie else {})
    row["completion"] = example.completion
    return row | ({"score": example.score} if isinstance(example, Rating) else {})
