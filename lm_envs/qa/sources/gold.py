"""Reads gold answers and choices in the forms that data sets have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_envs.errors import DataError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Choices(NamedTuple):
    """The choices of a question.

    Attributes:
        texts: The choices.
        labels: Their labels; empty where they have none.
        of_numbers: Whether the data has them as numbers, so that a number is a choice and not the place of one.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    of_numbers: bool = False


def free_answers(value: Any, unanswerable: str, place: str) -> tuple[str, ...]:
    """The different gold answers to a question that is answered with a text.

    Args:
        value: A text, a number, a list of these, or SQuAD's ``{"text": [...], "answer_start": [...]}``.
        unanswerable: The gold answer where the list is empty.
        place: Which row, for error messages.

    Raises:
        DataError: There is something else, or an answer is blank.
    """
    if isinstance(value, Mapping):
        if "text" not in value:
            raise DataError(
                f"{place} has the answers {_show(value)}; expected a mapping with the key 'text', as SQuAD has."
            )
        value = value["text"]
    value = _plain(value)
    if value is None:
        raise DataError(f"{place} has no answer; a question without answer has an empty list of them.")
    answers = tuple(dict.fromkeys(_text(item, place) for item in (value if isinstance(value, list) else [value])))
    return answers or (unanswerable,)


def choices_of(value: Any, place: str) -> Choices:
    """The choices of a question, and their labels if they have some.

    Args:
        value: A list of texts, or ``{"text": [...], "label": [...]}``, as ARC has.
        place: Which row, for error messages.

    Raises:
        DataError: There is something else, there are fewer than two choices, or two are equal.
    """
    labels: list[Any] = []
    if isinstance(value, Mapping):
        if "text" not in value:
            raise DataError(
                f"{place} has the choices {_show(value)}; expected the keys 'text' and 'label', as ARC has."
            )
        labels, value = _plain(value.get("label")) or [], value["text"]
    value = _plain(value)
    if not isinstance(value, list) or len(value) < 2:
        raise DataError(
            f"{place} has the choices {_show(value)}; expected a list of at least two texts.{_remedy(value)}"
        )
    choices = tuple(_text(item, place, "choice") for item in value)
    for number, choice in enumerate(choices):
        if choice in choices[:number]:
            raise DataError(f"{place} has the choice {choice!r} twice; choices have to differ: {_show(list(choices))}.")
    if labels and len(labels) != len(choices):
        raise DataError(f"{place} has {len(labels)} labels for {len(choices)} choices.")
    names = tuple(str(label).strip() for label in labels)
    if len(set(names)) < len(names):
        raise DataError(f"{place} has the labels {_show(list(names))}; labels have to differ.")
    return Choices(choices, names, any(not isinstance(item, str) for item in value))


def right_choices(value: Any, choices: Choices, place: str) -> tuple[str, ...]:
    """The right choices, from the label, the text, the number from 0 or the letter of each.

    Args:
        value: Which choice is right, or a list of several. A label goes before a text. An integer is a place, counted
            from 0, also where the text of another choice is that number; unless the choices are numbers themselves.
        choices: The choices.
        place: Which row, for error messages.

    Raises:
        DataError: An answer is none of the choices.
    """
    value = _plain(value)
    several = value if isinstance(value, list) else [value]
    if not several:
        raise DataError(f"{place} has no answer; expected one of the choices {_show(list(choices.texts))}.")
    return tuple(dict.fromkeys(_right_choice(item, choices, place) for item in several))


def _right_choice(value: Any, choices: Choices, place: str) -> str:
    texts, labels, of_numbers = choices
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
    name = str(value).strip()
    if name in labels:
        return texts[labels.index(name)]
    if name in texts and (of_numbers or labels or not whole):
        return name
    number = -1
    if whole and not (of_numbers or labels):
        number = int(value)
    elif isinstance(value, str) and not labels:
        number = int(name) if name.isdecimal() else LETTERS.find(name.upper()) if len(name) == 1 else -1
    if not 0 <= number < len(texts):
        known = f", a number from 0 to {len(texts) - 1}, or a letter"
        known = f", the labels {list(labels)}" if labels else ", as they are numbers" if of_numbers else known
        raise DataError(
            f"{place} has the answer {_show(value)}; expected one of the choices {_show(list(texts))}{known}."
        )
    return texts[number]


def _remedy(value: Any) -> str:
    """What to do about choices that are no list."""
    if isinstance(value, str):
        return " Where a file cannot hold lists, as CSV cannot, write JSON lines; the same choices for all: choices=..."
    return " All rows need them: give questions without choices in data of their own." if value is None else ""


def _plain(value: Any) -> Any:
    """Arrays and tuples as lists; not a number, which is how pandas says None, as None."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and value != value else value


def _text(value: Any, place: str, kind: str = "answer") -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f"{place} has the {kind} {_show(value)} ({type(value).__name__}); expected a text or a number.")
    text = str(value).strip()
    if not text:
        remedy = " A question without answer has an empty list of them." if kind == "answer" else ""
        raise DataError(f"{place} has an empty {kind}; expected a text.{remedy}")
    return text


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
