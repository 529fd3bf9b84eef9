"""What an agent at the help desk can choose to do, and what it believes of the conversation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lm_envs.dialogue.partners.protocol import Acts
from lm_envs.world.dialogues import GOAL_SLOTS, longest_turn, say
from lm_envs.world.understanding import GO_ON, PROMISES, Understood, understand

SOONEST = {"delay": "two days", "visit": "today"}
"""What ``"suggest"`` promises."""
MOST_DRAWS = 200  # of a template; one in four promises something


@dataclass
class Belief:
    """What the user's turns have said.

    Attributes:
        domain: What the conversation is about; empty where that is not known.
        values: The slots that have been told.
        repeated: Whether the user's last turn told what it had told before.
        unclear: Whether the user's last turn was not understood.
    """

    domain: str = ""
    values: dict[str, str] = field(default_factory=dict)
    repeated: bool = False
    unclear: bool = False

    def hear(self, text: str) -> None:
        """Take in a turn of the user."""
        heard = understand("user", text, self.domain or None)
        self.unclear = heard is None
        self.repeated = heard is not None and bool(heard.slots) and heard.slots.keys() <= self.values.keys()
        if heard is not None:
            self.domain = heard.domain or self.domain
            self.values.update(heard.slots)


class DeskActs(Acts):
    """The acts of the help desk: ask for a slot, confirm, suggest, continue, close.

    ``"ask.SLOT"`` asks for a slot, with the words of the domain that the conversation is about where it has the slot.
    ``"confirm"`` settles the matter with the values that the user has told; those that it has not told, and the
    opening hours, are invented, and so is when somebody comes, if the template says so. ``"suggest"`` does the same
    with the soonest date for the refund or the visit; where there is none to suggest, it says "Sure.". ``"continue"``
    says something like "Sure.", and ``"close"`` says goodbye.

    The state is the domain (one-hot), a bit for each slot that has been told, and two bits that tell whether the
    user's last turn repeated something, and whether it was not understood. It comes from what the user has said.

    Args:
        num_rows: Number of conversations side by side.
        domains: What they can be about.

    Attributes:
        domains: What conversations can be about, in the order of the state.
        slots: The slots of these domains, in the order of the state and of the ``"ask.SLOT"`` acts.
    """

    def __init__(self, num_rows: int, domains: Sequence[str]) -> None:
        self.domains = tuple(domains)
        self.slots = tuple(dict.fromkeys(slot for domain in domains for slot in GOAL_SLOTS[domain]))
        self.names = (*(f"ask.{slot}" for slot in self.slots), "confirm", "suggest", "continue", "close")
        self.state_size = len(self.domains) + len(self.slots) + 2
        self._beliefs = [Belief() for _ in range(num_rows)]

    def begin(self, row: int, text: str) -> None:
        """A conversation begins with this turn of the user."""
        self._beliefs[row] = Belief()
        self.hear(row, text)

    def hear(self, row: int, text: str) -> None:
        """The user says something."""
        self._beliefs[row].hear(text)

    def phrase(self, row: int, act: int, rng: np.random.Generator) -> str:
        """A turn of the agent that performs the act, in the world's words."""
        promise = self._promise(row, act)
        symbols = {symbol: SOONEST[name] for name, symbol in promise.items()}
        for _ in range(MOST_DRAWS):  # the templates of a statement differ in whether they promise anything
            text = say(self._symbol(row, act), {**self._beliefs[row].values, **symbols}, rng)
            if not promise or self.recognises(row, act, text):
                break
        return text

    def longest_phrases(self, length: Callable[[str], int]) -> list[str]:
        """The longest phrase of each symbol of the grammar that an act may become."""
        asked = [f"ask.{domain}.{slot}" for domain in self.domains for slot in GOAL_SLOTS[domain]]
        told = [f"done.{domain}" for domain in self.domains]
        return [longest_turn(symbol, length) for symbol in (*asked, *told, "sure", "assistant.bye")]

    def _promise(self, row: int, act: int) -> Mapping[str, str]:
        """What the act promises, and the symbols of the grammar that write it."""
        return PROMISES.get(self._domain(row), {}) if self.names[act] == "suggest" else {}

    def _domain(self, row: int) -> str:
        return self._beliefs[row].domain or self.domains[0]

    def _symbol(self, row: int, act: int) -> str:
        """The symbol of the grammar that writes the act."""
        meaning = self._meaning(row, act)
        return "sure" if meaning == GO_ON else meaning

    def _meaning(self, row: int, act: int) -> str:
        """The act in the words of :func:`~lm_envs.world.understanding.understand`."""
        name, domain = self.names[act], self._domain(row)
        kind, _, slot = name.partition(".")
        if kind == "ask":
            desks = [domain, *self.domains]
            return f"ask.{next(desk for desk in desks if slot in GOAL_SLOTS[desk])}.{slot}"
        statement = f"done.{domain}"
        suggestion = statement if self._promise(row, act) else GO_ON
        return {"confirm": statement, "suggest": suggestion, "continue": GO_ON, "close": "assistant.bye"}[name]

    def state(self, row: int) -> npt.NDArray[np.int8]:
        """The belief as bits, ``(state_size,)``."""
        belief = self._beliefs[row]
        bits = [
            *(domain == belief.domain for domain in self.domains),
            *(slot in belief.values for slot in self.slots),
            belief.repeated,
            belief.unclear,
        ]
        return np.array(bits, dtype=np.int8)

    def recognises(self, row: int, act: int, text: str) -> bool:
        """Whether ``text`` performs the act; a statement must have the values that the user has told."""
        meaning = self._meaning(row, act)
        desk = meaning.split(".")[1]
        heard = understand("assistant", text, desk if desk in GOAL_SLOTS else None)
        if heard is None or heard.act != meaning:
            return False
        promised = {name: SOONEST[name] for name in self._promise(row, act)}
        return _agrees(heard, self._beliefs[row]) and promised.items() <= dict(heard.slots).items()


def _agrees(heard: Understood, belief: Belief) -> bool:
    return all(belief.values.get(slot, value) == value for slot, value in heard.slots.items())
