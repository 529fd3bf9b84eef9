"""What an environment remembers of a running conversation beside its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lm_envs.dialogue.partners import Message
from lm_envs.rendering import Piece

_LABELS = {"system": "system  ", "user": "user    ", "assistant": "agent   "}


@dataclass
class Conversation:
    """A conversation under way.

    Attributes:
        messages: All that was said, also what the observation no longer holds.
        n_opening: How many of these were there before the agent's first turn.
        rng: The row's random numbers.
        columns: What the partner tells rewards about it.
        opening_ids: The tokens that it began with.
        turn_starts: Where each turn of the agent that is in the observation begins, the latest last.
        answered: The user's turn before each of these.
        agent_ids: All tokens that the agent wrote.
        n_turns: Number of turns that the agent has finished.
    """

    messages: list[Message]
    n_opening: int
    rng: np.random.Generator
    columns: Mapping[str, Any]
    opening_ids: list[int]
    turn_starts: list[int]
    answered: list[str]
    agent_ids: list[int] = field(default_factory=list)
    n_turns: int = 0

    @property
    def system(self) -> list[Message]:
        """The system message, if any: it stays when old turns are dropped."""
        return [message for message in self.messages[:1] if message["role"] == "system"]

    @property
    def prompt(self) -> str:
        """The user's turn that the agent's first turn answers."""
        return self.messages[self.n_opening - 1]["content"]

    @property
    def completion(self) -> str:
        """All turns of the agent, one a line."""
        later = self.messages[self.n_opening :]
        return "\n".join(message["content"] for message in later if message["role"] == "assistant")

    @property
    def reply(self) -> str:
        """The user's answer to the agent's last turn; empty where it has said nothing."""
        return self.messages[-1]["content"] if self.messages[-1]["role"] == "user" else ""

    @property
    def user_turn(self) -> str:
        """What the agent's latest turn answers."""
        return self.answered[-1]

    def begin_turn(self, start: int, user_turn: str) -> None:
        """The agent's next turn, the answer to ``user_turn``, begins at the position ``start``."""
        self.turn_starts.append(start)
        self.answered.append(user_turn)

    def forget(self, n_turns: int, shift: int) -> None:
        """The agent's oldest ``n_turns`` have left the observation; the others stand ``shift`` positions earlier."""
        self.turn_starts = [start - shift for start in self.turn_starts[n_turns:]]
        self.answered = self.answered[n_turns:]

    def say(self, role: str, text: str) -> None:
        """Remember a turn."""
        self.messages.append({"role": role, "content": text})

    def pieces(self, running: str | None = None) -> tuple[Piece, ...]:
        """What there is to see, a line for each turn, with the agent's ``running`` turn so far."""
        said = [(message["role"], message["content"] + "\n") for message in self.messages]
        if running is not None:
            said.append(("assistant", running))
        return tuple(Piece(_LABELS[role] + text, by_agent=role == "assistant") for role, text in said)
