"""The best way to serve the agenda-based user, written by hand: what learned policies are measured against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lm_envs.dialogue.partners.agenda_acts import DeskActs
from lm_envs.world.dialogues import GOAL_SLOTS
from lm_envs.world.understanding import PROMISES


class HandWrittenPolicy:
    """Asks for the first slot that is not known; when all are, suggests a date where there is one, else confirms.

    It sees the state alone, and knows the rules of the simulated user: that each question about an open slot is
    answered, and that a statement with right values and the soonest date ends the conversation.

    Args:
        acts: The acts to choose from.
    """

    def __init__(self, acts: DeskActs) -> None:
        self._acts = acts

    def choose(self, state: npt.NDArray[np.int8]) -> int:
        """The act for a state ``(state_size,)``; index into the acts' names."""
        domains, slots = self._acts.domains, self._acts.slots
        believed = [domain for domain, bit in zip(domains, state, strict=False) if bit]
        known = {slot for slot, bit in zip(slots, state[len(domains) :], strict=False) if bit}
        if not believed:
            return self._acts.names.index("continue")
        missing = [slot for slot in GOAL_SLOTS[believed[0]] if slot not in known]
        if missing:
            return self._acts.names.index(f"ask.{missing[0]}")
        return self._acts.names.index("suggest" if believed[0] in PROMISES else "confirm")
