"""Texts of data sets in the conversational form, where each text is a list of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.errors import DataError


def text_of(value: Any, column: str, place: str) -> str:
    """A text as it is, or the contents of messages, one below the other; who says what is not kept.

    Args:
        value: A text, or a list of ``{"role": ..., "content": ...}``.
        column: The column that it is in, for error messages.
        place: The row that it is in, for error messages.

    Raises:
        DataError: It is neither, a content is no text, or a text holds half a character.
    """
    text = "\n".join(_contents(value, column, place)) if is_messages(value) else value
    if not isinstance(text, str):
        raise DataError(
            f"{place} has {value!r:.80} ({type(value).__name__}) in the column {column!r}; expected a text or a list "
            "of messages {'role': ..., 'content': ...}."
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"{place} has half of a character (a lone surrogate) in the column {column!r}: {text!r:.80}.")
    return text


def is_messages(value: Any) -> bool:
    """Whether this is the conversational form."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) > 0


def split_shared_messages(chosen: Any, rejected: Any) -> tuple[list[Any], Any, Any]:
    """Cut the messages that two conversations begin with, which are their prompt; texts are left as they are.

    Returns:
        The shared messages, and what is left of ``chosen`` and of ``rejected``: at least the last message of each.
    """
    if not (is_messages(chosen) and is_messages(rejected)):
        return [], chosen, rejected
    n = 0
    while n < min(len(chosen), len(rejected)) - 1 and chosen[n] == rejected[n]:
        n += 1
    return list(chosen[:n]), chosen[n:], rejected[n:]


def _contents(messages: Sequence[Any], column: str, place: str) -> list[str]:
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise DataError(
                f"message {number} in the column {column!r} of {place} is {message!r:.80}; expected {{'role': ..., "
                "'content': ...}} with a text as content. Leave out messages with pictures, and calls of tools."
            )
    return [message["content"] for message in messages]
