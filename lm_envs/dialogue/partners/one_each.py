"""Partners made of a partner for one conversation: a class of which each conversation has an object, or a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lm_envs.awaiting import await_together, close_all
from lm_envs.dialogue.partners.protocol import Message, Opening, Partner, Partners, Reply
from lm_envs.dialogue.partners.replies import (
    checked_opening,
    checked_reply,
    failure,
    partner_failures,
    partner_name,
)
from lm_envs.errors import ConfigurationError, LMEnvsError


class OneEach(Partners):
    """Users of ``num_rows`` conversations, each played by its own object, or all by one function.

    Replies that are coroutines (``async def``) are awaited together, those of all conversations at the same time.

    Args:
        partner: One of

            - a class with the methods ``open(rng)`` and ``reply(history)``, see
              :class:`lm_envs.dialogue.partners.Partner`, or a function without required parameters that makes such
              an object; called once for each row;
            - a function ``partner(history)`` of the messages so far that returns the user's next turn, its first where
              there are no messages.

            Its attributes ``columns`` and ``default_reward`` count where it has them, see :class:`Partners`.
        num_rows: Number of conversations side by side.
        partner_kwargs: Further arguments for each call of the class or the function.

    Attributes:
        name: The partner's name, for error messages.

    Raises:
        ConfigurationError: ``partner`` does not take ``partner_kwargs``, or makes something that is no partner.
        PartnerError: It raises an error when it is made.
    """

    def __init__(
        self, partner: Callable[..., Any], num_rows: int, partner_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.name = partner_name(partner)
        self._users = _make_users(self.name, partner, num_rows, dict(partner_kwargs or {}))
        for attribute in ("columns", "default_reward"):
            found = [getattr(owner, attribute) for owner in (self._users[0], partner) if hasattr(owner, attribute)]
            setattr(self, attribute, found[0] if found else getattr(Partners, attribute))

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Begin conversations; the partners make up the scenarios themselves, from their random numbers.

        Raises:
            PartnerError: A partner raised an error, or its opening is none.
        """
        calls = [functools.partial(self._users[row].open, rng) for row, rng in zip(rows, rngs, strict=True)]
        openings = self._ask(rows, calls, [[] for _ in rows])
        return [checked_opening(self.name, opening, self.columns) for opening in openings]

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """Answer the agent's turns.

        Raises:
            PartnerError: A partner raised an error, or its reply is none.
        """
        own = [[message.copy() for message in history] for history in histories]  # partners may change theirs
        calls = [functools.partial(self._users[row].reply, history) for row, history in zip(rows, own, strict=True)]
        replies = self._ask(rows, calls, histories)
        return [checked_reply(self.name, *answer) for answer in zip(rows, replies, histories, strict=True)]

    def _ask(
        self, rows: Sequence[int], calls: Sequence[Callable[[], Any]], histories: Sequence[Sequence[Message]]
    ) -> list[Any]:
        """What the calls return; those that are ``async`` are awaited together."""
        results: list[Any] = []
        try:
            for row, call, history in zip(rows, calls, histories, strict=True):
                with partner_failures(self.name, [row], history):
                    results.append(call())
        except BaseException:
            close_all(results)
            raise
        waiting = [i for i, result in enumerate(results) if inspect.isawaitable(result)]
        awaited = await_together([results[i] for i in waiting]) if waiting else []
        for i, result in zip(waiting, awaited, strict=True):
            if isinstance(result, LMEnvsError):
                raise result
            if isinstance(result, BaseException):
                raise failure(self.name, [rows[i]], result, histories[i]) from result
            results[i] = result
        return results


class _Function:
    """A partner that is a function of the messages so far."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def open(self, rng: np.random.Generator) -> Any:
        """What the function says before anything was said."""
        return self._function([])

    def reply(self, history: list[Message]) -> Any:
        """What the function answers."""
        return self._function(history)


def _make_users(
    name: str, partner: Callable[..., Any], num_rows: int, arguments: dict[str, Any]
) -> Sequence[Partner | _Function]:
    if _is_function_of_history(partner, arguments):
        _check_arguments(name, partner, [[]], arguments)
        return [_Function(functools.partial(partner, **arguments))] * num_rows
    _check_arguments(name, partner, [], arguments)
    users = []
    for row in range(num_rows):
        with partner_failures(name, [row]):
            users.append(_checked_user(name, partner(**arguments)))
    return users


def _is_function_of_history(partner: Callable[..., Any], arguments: Mapping[str, Any]) -> bool:
    """Whether it is no class, and a parameter is left open that the messages have to fill."""
    if inspect.isclass(partner):
        return False
    try:
        parameters = inspect.signature(partner).parameters.values()
    except ValueError:  # some callables written in C have no signature
        return True
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        p.kind in by_position and p.default is inspect.Parameter.empty and p.name not in arguments for p in parameters
    )


def _check_arguments(
    name: str, partner: Callable[..., Any], positional: list[Any], arguments: Mapping[str, Any]
) -> None:
    try:
        signature = inspect.signature(partner)
    except ValueError:
        return
    try:
        signature.bind(*positional, **arguments)
    except TypeError as error:
        takes = "the messages so far and " if positional else ""
        parameters = signature.replace(return_annotation=inspect.Signature.empty)
        raise ConfigurationError(
            f"the partner {name!r} cannot be called with {takes}partner_kwargs={dict(arguments)!r}: {error}. Its "
            f"parameters are {parameters}."
        ) from error


def _checked_user(name: str, user: Any) -> Partner | _Function:
    if callable(getattr(user, "open", None)) and callable(getattr(user, "reply", None)):
        return user
    if callable(user):
        return _Function(user)
    raise ConfigurationError(
        f"the partner {name!r} made {user!r:.120}; expected an object with the methods open(rng) and reply(history). "
        "A function that is the partner itself takes the messages: def partner(history): ..."
    )
