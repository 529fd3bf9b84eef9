"""A simulated user's goal, and how far the conversation has come with it."""

from __future__ import annotations

from collections.abc import Mapping


class GoalProgress:
    """What the agent has been told of a goal, and what it has stated of it.

    A slot is *settled* when the user has told it, or the agent has stated its value of its own accord.

    Args:
        goal: The user's constraints: its value for each slot.
        first_thoughts: Slots for which the user has another value in mind at first.

    Attributes:
        goal: The constraints.
        mind: What the user would say now: the goal, but for first thoughts.
    """

    def __init__(self, goal: Mapping[str, str], first_thoughts: Mapping[str, str] | None = None) -> None:
        self.goal = dict(goal)
        self.mind = {**goal, **(first_thoughts or {})}
        self._told: set[str] = set()
        self._asked: set[str] = set()
        self._stated: dict[str, bool] = {}  # whether the agent's last statement was right
        self._ever_right: set[str] = set()

    def tell(self, slot: str, asked: bool = False) -> None:
        """The user tells the slot, because it was asked for it or not."""
        if asked and not self.is_settled(slot):
            self._asked.add(slot)
        self._told.add(slot)

    def hear(self, stated: Mapping[str, str]) -> list[str]:
        """The agent states values; returns the slots that are not as the user has them in mind, in the goal's order."""
        for slot, value in self.goal.items():
            if slot in stated:
                self._stated[slot] = stated[slot] == value
                if self._stated[slot]:
                    self._ever_right.add(slot)
                    self.mind[slot] = value
        return [slot for slot, value in self.mind.items() if stated.get(slot, value) != value]

    def change_mind(self) -> str:
        """Leave the first thoughts; returns the slot that changes, empty where none does."""
        changed = [slot for slot, value in self.goal.items() if self.mind[slot] != value]
        self.mind = dict(self.goal)
        return changed[0] if changed else ""

    def complete(self) -> None:
        """The user has what it wanted: all values are right."""
        self.hear(self.goal)

    def is_settled(self, slot: str) -> bool:
        """Whether the agent can know the slot's value."""
        return slot in self._told or slot in self._ever_right

    def open_slots(self) -> list[str]:
        """The slots that are not settled, in the order of the goal."""
        return [slot for slot in self.goal if not self.is_settled(slot)]

    def state(self) -> dict[str, str]:
        """For each slot ``"open"``, ``"told"``, or what the agent last stated of it: ``"confirmed"`` or ``"wrong"``."""
        return {slot: self._state(slot) for slot in self.goal}

    def _state(self, slot: str) -> str:
        if slot in self._stated:
            return "confirmed" if self._stated[slot] else "wrong"
        return "told" if slot in self._told else "open"

    def worth(self) -> float:
        """The share of the goal that the agent has earned: 0 to 1, never falling.

        Each slot counts half from when the user told it because the agent asked for it while it was open, and fully
        from when the agent first stated its value.
        """
        halves = sum(2 if slot in self._ever_right else slot in self._asked for slot in self.goal)
        return halves / (2 * len(self.goal))
