"""Checks of what partners say: the one clear error where it is no turn."""

from __future__ import annotations

import contextlib
import functools
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lm_envs.dialogue.partners.protocol import Message, Opening, Partners, Reply
from lm_envs.errors import LMEnvsError, PartnerError

EXPECTED_REPLY = "a Reply, the user's turn as a text, (text, done), or (text, done, terms)"
EXPECTED_OPENING = "an Opening, or the user's first turn as a text"
ROLES = ("system", "user", "assistant")
SHOWN_CHARACTERS = 120


def partner_name(partner: Any) -> str:
    """What error messages call a partner: its ``name``, or that of its class or function."""
    if isinstance(partner, functools.partial):
        return partner_name(partner.func)
    name = getattr(partner, "name", None) or getattr(partner, "__name__", None)
    return str(name or type(partner).__name__)


def checked_replies(
    partners: Partners, rows: Sequence[int], replies: Sequence[Any], histories: Sequence[Sequence[Message]]
) -> list[Reply]:
    """The replies of partners, checked.

    Args:
        partners: Whose.
        rows: The ``k`` rows.
        replies: What :meth:`Partners.reply` returned for them.
        histories: What it was called with.

    Raises:
        PartnerError: It is something else than one reply for each row: see :func:`checked_reply`.
    """
    name = partner_name(partners)
    _check_list(name, "reply", "Reply", replies, len(rows))
    return [checked_reply(name, int(row), *pair) for row, *pair in zip(rows, replies, histories, strict=True)]


def checked_openings(partners: Partners, rows: Sequence[int], openings: Sequence[Any]) -> list[Opening]:
    """The openings of partners, checked; raises PartnerError where one is none: see :func:`checked_opening`."""
    name = partner_name(partners)
    _check_list(name, "open", "Opening", openings, len(rows))
    return [checked_opening(name, opening, partners.columns) for opening in openings]


def checked_reply(name: str, row: int, reply: Any, history: Sequence[Message]) -> Reply:
    """One reply in its full form, made of a :class:`Reply`, a text, ``(text, done)`` or ``(text, done, terms)``.

    Args:
        name: The partner's name, for error messages.
        row: Whose conversation it is.
        reply: What the partner returned.
        history: What was said before it.

    Raises:
        PartnerError: It is something else; its text is no text, or blank though the conversation goes on; a term is no
            finite number; or ``done``, ``success`` or ``info`` has another type.
    """
    full = _full_reply(reply)
    problem = f"returned {_show(reply)}. Look for a missing return" if full is None else _problem_of(full)
    if full is None or problem:
        raise PartnerError(f"the partner {name!r} {problem} (row {row}). Expected {EXPECTED_REPLY}.{_last(history)}")
    terms = {term: float(value) for term, value in full.terms.items()}
    success = None if full.success is None else bool(full.success)
    return Reply(full.text, bool(full.done), terms, success, full.info)


def checked_opening(name: str, opening: Any, columns: Sequence[str]) -> Opening:
    """One opening in its full form, made of an :class:`Opening`, a text, or a reply that does not end.

    Args:
        name: The partner's name, for error messages.
        opening: What the partner returned.
        columns: The columns that the partner announced.

    Raises:
        PartnerError: It is something else; its messages do not end with a turn of the user that has a text, or some
            message is none; or it has other columns.
    """
    if not isinstance(opening, Opening):
        opening = _opening_of(name, opening)
    messages = opening.messages
    if isinstance(messages, str) or not isinstance(messages, Sequence) or not all(map(_is_message, messages)):
        raise PartnerError(
            f"the partner {name!r} began with the messages {_show(messages)}. Expected a list of "
            "{'role': 'system', 'user' or 'assistant', 'content': text}."
        )
    if not messages or messages[-1]["role"] != "user" or not messages[-1]["content"].strip():
        raise PartnerError(
            f"the partner {name!r} began with the messages {_show(messages)}. Expected messages of which the last is "
            "a turn of the user with a text: the agent answers it."
        )
    if set(opening.columns) != set(columns):
        raise PartnerError(
            f"the partner {name!r} began with the columns {sorted(opening.columns)}, and its attribute `columns` names "
            f"{sorted(columns)}. Make them the same, so that rewards can be checked before anything is said."
        )
    return opening


@contextlib.contextmanager
def partner_failures(name: str, rows: Sequence[int], history: Sequence[Message] = ()) -> Iterator[None]:
    """Turn whatever a partner raises inside of the block into a :class:`PartnerError`; own errors pass.

    Args:
        name: The partner's name.
        rows: The rows that it was asked about.
        history: What was said in the first of them.
    """
    try:
        yield
    except LMEnvsError:
        raise
    except Exception as error:
        raise failure(name, rows, error, history) from error


def failure(name: str, rows: Sequence[int], error: BaseException, history: Sequence[Message]) -> PartnerError:
    """The error that says that a partner raised ``error``."""
    where = f"row {rows[0]}" if len(rows) == 1 else f"rows {list(rows)}"
    return PartnerError(
        f"the partner {name!r} raised {type(error).__name__}: {error} ({where}). A partner has to answer everything "
        f"that an agent may say, nothing and nonsense included: catch the error there.{_last(history)}"
    )


def _full_reply(reply: Any) -> Reply | None:
    if isinstance(reply, Reply):
        return reply
    if isinstance(reply, str):
        return Reply(reply)
    if isinstance(reply, tuple) and 2 <= len(reply) <= 3:
        return Reply(*reply)
    return None


def _problem_of(reply: Reply) -> str:
    """What is wrong with a reply; empty if nothing is."""
    if not isinstance(reply.text, str):
        return f"returned the text {_show(reply.text)}"
    if not isinstance(reply.done, (bool, np.bool_)):
        return f"returned done = {_show(reply.done)}; it has to be True or False"
    if not reply.done and not reply.text.strip():
        return f"returned the turn {reply.text!r}, but not done; only the last turn may be empty"
    if not isinstance(reply.terms, Mapping):
        return f"returned the terms {_show(reply.terms)}; they have to be a mapping from names to numbers"
    for term, value in reply.terms.items():
        is_number = isinstance(value, (numbers.Real, np.bool_)) and math.isfinite(value)
        if not isinstance(term, str) or not is_number:
            return f"returned the term {term!r} = {_show(value)}; it has to be a finite number under a text"
    if not isinstance(reply.success, (bool, np.bool_, type(None))):
        return f"returned success = {_show(reply.success)}; it has to be True, False or None"
    if not isinstance(reply.info, Mapping):
        return f"returned info = {_show(reply.info)}; it has to be a mapping"
    return ""


def _opening_of(name: str, opening: Any) -> Opening:
    reply = _full_reply(opening)
    if reply is None or not isinstance(reply.text, str) or not reply.text.strip() or reply.done:
        raise PartnerError(
            f"the partner {name!r} began a conversation with {_show(opening)}. Expected {EXPECTED_OPENING}, which is "
            "not blank: the user speaks first. A function is called with no messages at the beginning."
        )
    return Opening([Message(role="user", content=reply.text)], info=reply.info)


def _is_message(message: Any) -> bool:
    has_both = isinstance(message, Mapping) and isinstance(message.get("content"), str)
    return has_both and message.get("role") in ROLES


def _check_list(name: str, method: str, kind: str, values: Any, n_rows: int) -> None:
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    if not is_list or n_rows != len(values):
        raise PartnerError(
            f"{method} of the partner {name!r} returned {_show(values)} for {n_rows} rows. "
            f"Expected a list with one {kind} for each row. A class for one conversation is no subclass of Partners."
        )


def _last(history: Sequence[Message]) -> str:
    """The last two messages, for an error message."""
    shown = " | ".join(f"{message['role']}: {_show(message['content'])}" for message in history[-2:])
    return f" Last said: {shown}" if shown else ""


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
