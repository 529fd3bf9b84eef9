"""What plays the user of a conversation: for one conversation, and for many side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

UNLIMITED = 2**31 - 1
"""``n_scenarios`` of a partner that has no list of scenarios."""


class Message(TypedDict):
    """One turn, as chat templates take it: ``role`` is ``"system"``, ``"user"`` or ``"assistant"``."""

    role: str
    content: str


@dataclass(frozen=True)
class Opening:
    """How a conversation begins.

    Attributes:
        messages: What is said before the agent's first turn; the last message is the user's.
        columns: What rewards can read about the conversation, for example ``goal`` or ``reference``; the keys are
            the partner's :attr:`Partners.columns`.
        info: What the environment puts into the info of ``reset``.
    """

    messages: Sequence[Message]
    columns: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What the user answers.

    Attributes:
        text: The user's turn; may be empty only where ``done``.
        done: Whether the conversation is over: the user has said goodbye, has what it wanted, or has lost patience.
        terms: The partner's own scores of the agent's turn, by name; the reward ``"partner"`` pays them.
        success: Whether the user got what it wanted; None where the partner has no such notion.
        info: What the environment puts into the step's info, for example ``user_act``, ``agent_act``, ``goal_state``;
            rewards read it in the column ``turn_info``.
    """

    text: str
    done: bool = False
    terms: Mapping[str, float] = field(default_factory=dict)
    success: bool | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


class Partner(Protocol):
    """The user of one conversation: the form in which most people write one; each environment gets its own."""

    def open(self, rng: np.random.Generator) -> str | Opening:
        """Begin a conversation, with new goals and whatever else; returns the user's first turn.

        Args:
            rng: The environment's random numbers, for this conversation's replies too.
        """
        ...

    def reply(self, history: list[Message]) -> Any:
        """Answer the agent's turn, the last message of ``history``.

        Returns:
            A :class:`Reply`; or its text; or text and done; or text, done and score terms. May be a coroutine.
        """
        ...


class Acts(ABC):
    """Dialogue acts that an agent can choose from instead of writing, for ``actions="acts"``.

    What an agent may know is what has been said: nothing here reads the user's hidden goal.

    Attributes:
        names: The acts, for example ``"ask.day"``; action ``i`` is ``names[i]``.
        state_size: Length of a conversation's state.
    """

    names: tuple[str, ...]
    state_size: int

    @abstractmethod
    def phrase(self, row: int, act: int, rng: np.random.Generator) -> str:
        """A turn of the agent that performs the act in the conversation of ``row``."""

    @abstractmethod
    def state(self, row: int) -> npt.NDArray[np.int8]:
        """What is known in the conversation of ``row``, ``(state_size,)`` of 0 and 1: the belief state."""

    def recognises(self, row: int, act: int, text: str) -> bool | None:
        """Whether ``text`` performs the act; None where there is no parser that could tell."""
        return None

    def longest_phrases(self, length: Callable[[str], int]) -> Sequence[str]:
        """The longest that :meth:`phrase` may write, to be compared with the room for a turn; nothing if unknown.

        Args:
            length: The number of tokens of a word behind a space.
        """
        return ()


class Partners(ABC):
    """The users of ``num_rows`` conversations side by side.

    All methods get the rows that something happens in, and lists with an entry for each of them.

    Attributes:
        columns: Names of the columns that :class:`Opening` brings.
        n_scenarios: Number of scenarios (goals, personas, contexts) of the split; :data:`UNLIMITED` where there is no
            list of them.
        default_reward: What the environment pays where the user of the environment names no reward.
        acts: What ``actions="acts"`` chooses from; None where there is nothing.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    default_reward: ClassVar[Any] = "partner"
    n_scenarios: int = UNLIMITED
    acts: Acts | None = None

    @abstractmethod
    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Begin conversations.

        Args:
            rows: Whose, each below ``num_rows``.
            scenarios: Number of the scenario of each.
            rngs: The random numbers of each row; to be kept for its replies.
        """

    @abstractmethod
    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """Answer the agent's turns.

        Args:
            rows: Whose.
            histories: All messages of each conversation; the last is the agent's. Not to be changed.
        """
