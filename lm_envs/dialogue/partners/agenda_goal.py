"""A simulated user's goal, and how far the conversation has come with it."""

from __future__ import annotations

from collections.abc import Mapping

# what a user wants to hear beside its own values right: the promise, and the answers that it takes; None: any
REQUESTS: dict[str, dict[str, tuple[str, ...] | None]] = {
    "return": {"delay": None},
    "fault": {"visit": ("today", "tomorrow")},
}


class GoalProgress:
    """What the agent has been told of a goal, and what it has stated of it.

    A slot is *settled* when the user has told it, or the agent has stated its value of its own accord.

    Args:
        domain: What the conversation is about.
        goal: The user's constraints: its value for each slot.

    Attributes:
        goal: The constraints.
        requests: What the user wants to be promised, by name: the answers that it takes, None for any.
    """

    def __init__(self, domain: str, goal: Mapping[str, str]) -> None:
        self.goal = dict(goal)
        self.requests = REQUESTS.get(domain, {})
        self._told: set[str] = set()
        self._asked: set[str] = set()
        self._stated: dict[str, bool] = {}  # whether the agent's last statement was right, if it still stands
        self._ever_right: set[str] = set()

    def tell(self, slot: str, asked: bool = False) -> None:
        """The user tells the slot, because it was asked for it or not; a wrong statement no longer stands."""
        if asked and not self.is_settled(slot):
            self._asked.add(slot)
        self._told.add(slot)
        if not self._stated.get(slot, True):
            del self._stated[slot]

    def hear(self, stated: Mapping[str, str]) -> None:
        """The agent states values and promises."""
        for slot, value in self.goal.items():
            if slot in stated:
                self._stated[slot] = stated[slot] == value
        for name, accepted in self.requests.items():
            if name in stated:
                self._stated[name] = accepted is None or stated[name] in accepted
        self._ever_right |= {slot for slot, right in self._stated.items() if right}

    def complete(self) -> None:
        """The user has what it wanted: all values are right."""
        self.hear(self.goal)

    def is_settled(self, slot: str) -> bool:
        """Whether the agent can know the slot's value."""
        return slot in self._told or slot in self._ever_right

    def open_slots(self) -> list[str]:
        """The slots that are not settled, in the order of the goal."""
        return [slot for slot in self.goal if not self.is_settled(slot)]

    def wrong_slots(self) -> list[str]:
        """The slots that the agent has got wrong and the user has not corrected, in the order of the goal."""
        return [slot for slot in self.goal if not self._stated.get(slot, True)]

    def unmet_requests(self) -> list[str]:
        """The requests that the agent's last promise does not meet, or of which it has promised nothing."""
        return [name for name in self.requests if not self._stated.get(name, False)]

    def state(self) -> dict[str, str]:
        """For each slot and request ``"open"``, ``"told"``, or what was stated: ``"confirmed"`` or ``"wrong"``."""
        return {slot: self._state(slot) for slot in (*self.goal, *self.requests)}

    def _state(self, slot: str) -> str:
        if slot in self._stated:
            return "confirmed" if self._stated[slot] else "wrong"
        return "told" if slot in self._told else "open"

    def worth(self) -> float:
        """The share of slots and requests that the agent has earned: 0 to 1, never falling.

        Each slot counts half from when the user told it because the agent asked for it while it was open, and fully
        from when the agent first stated its value; a request counts from when it is first met.
        """
        names = (*self.goal, *self.requests)
        return sum(2 if name in self._ever_right else name in self._asked for name in names) / (2 * len(names))
