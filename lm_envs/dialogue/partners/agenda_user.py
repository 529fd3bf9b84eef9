"""One simulated user of the help desk: a goal, an agenda, and patience."""

from __future__ import annotations

import numpy as np

from lm_envs.dialogue.partners.agenda_goal import GoalProgress
from lm_envs.dialogue.partners.protocol import Reply
from lm_envs.world.dialogues import Dialogue, say
from lm_envs.world.politeness import is_polite
from lm_envs.world.understanding import GO_ON, Understood, understand

THANKS, GOODBYE = "user.thanks", "user.bye"
AGENT_GOODBYE = "assistant.bye"
GOODBYE_TEXT = "Goodbye."


class AgendaUser:
    """The user of one conversation.

    Args:
        scenario: The dialogue whose goal and opening turn the user takes over.
        patience: Number of turns of the agent that it bears without getting further; it leaves at the last of them.
        rng: Source of its wording.
    """

    def __init__(self, scenario: Dialogue, patience: int, rng: np.random.Generator) -> None:
        opening = scenario.turns[0].act
        self.domain = scenario.domain
        self.progress = GoalProgress(scenario.domain, scenario.goal)
        self.patience = patience
        self._rng = rng
        self._agenda = [self._tell(slot) for slot in reversed(scenario.goal)]  # a stack: the last item is next
        self._last = opening
        self._corrects = False  # whether the last turn corrects what the agent has stated
        self._spoken(opening)

    def reply(self, text: str) -> Reply:
        """Answer the agent's turn."""
        heard = understand("assistant", text, self.domain)
        before = self.progress.worth()
        needed = self._take_in(heard)
        self.patience -= not needed
        closed = heard is not None and heard.act == AGENT_GOODBYE and not needed
        if closed or self.patience <= 0:
            self._push(GOODBYE)
        act = self._agenda.pop() if self._agenda else self._last
        self._spoken(act)
        success = act == THANKS
        return Reply(
            text=GOODBYE_TEXT if act == GOODBYE else say(act, self.progress.goal, self._rng),
            done=act in (THANKS, GOODBYE),
            terms={
                "success": float(success),
                "slots": self.progress.worth() - before,
                "turn_cost": -1.0,
                "politeness": float(is_polite(text)),
                "relevance": float(needed),
            },
            success=success,
            info={
                "user_act": act,
                "agent_act": heard.act if heard is not None else "",
                "goal_state": self.progress.state(),
            },
        )

    def _take_in(self, heard: Understood | None) -> bool:
        """Push what is to be answered; returns whether the turn was one that the goal needed."""
        if heard is None:
            self._push(self._last)
            return False
        if heard.act in (GO_ON, AGENT_GOODBYE) and self._corrects:
            return self._conclude()
        if heard.act.startswith("ask.") and heard.slot in self.progress.goal:
            return self._take_in_question(heard.slot)
        if heard.act == f"done.{self.domain}":
            self.progress.hear(heard.slots)
            went_wrong = bool(self.progress.wrong_slots())
            return self._conclude() and not went_wrong
        if heard.act != GO_ON:
            self._push(self._last)
        return False

    def _take_in_question(self, slot: str) -> bool:
        is_new = not self.progress.is_settled(slot)
        self.progress.tell(slot, asked=True)
        self._push(self._tell(slot))
        self._corrects = False
        return is_new

    def _conclude(self) -> bool:
        """Push what the settled matter still lacks, or thanks; returns whether it lacks nothing but corrections."""
        wrong, still_open = self.progress.wrong_slots(), self.progress.open_slots()
        self._corrects = bool(wrong)
        if wrong:
            self._push(self._tell(wrong[0]))
            return True
        if still_open or self.progress.unmet_requests():
            self._push(self._tell(still_open[0] if still_open else list(self.progress.goal)[-1]))
            return False
        self.progress.complete()
        self._push(THANKS)
        return True

    def _tell(self, slot: str) -> str:
        return f"tell.{self.domain}.{slot}"

    def _push(self, act: str) -> None:
        """Put an act on top of the agenda, where it stands once."""
        if act in self._agenda:
            self._agenda.remove(act)
        self._agenda.append(act)

    def _spoken(self, act: str) -> None:
        """Take note that the act has been performed."""
        self._last = act
        kind, _, rest = act.partition(".")
        slot = rest.partition(".")[2]
        if kind in ("open", "tell") and slot:
            self.progress.tell(slot)
            if self._tell(slot) in self._agenda:
                self._agenda.remove(self._tell(slot))
