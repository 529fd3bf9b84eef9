"""One simulated user of the help desk: a goal, an agenda, and patience."""

from __future__ import annotations

import numpy as np

from lm_envs.dialogue.partners.agenda_goal import GoalProgress
from lm_envs.dialogue.partners.protocol import Reply
from lm_envs.world.dialogues import Dialogue, dialogue_grammar, say
from lm_envs.world.politeness import is_polite
from lm_envs.world.understanding import GO_ON, Understood, understand

THANKS, GOODBYE = "user.thanks", "user.bye"
AGENT_GOODBYE = "assistant.bye"
GOODBYE_TEXT = "Goodbye."
CHANGING_SLOTS = ("people", "day", "time", "reason", "refund", "fault", "since")
"""What a user can change its mind about."""


class AgendaUser:
    """The user of one conversation.

    Args:
        scenario: The dialogue whose goal and opening turn the user takes over.
        patience: Number of turns of the agent that it bears without getting further; it leaves at the last of them.
        changes_mind: Probability that it changes its mind when it hears how the matter has been settled.
        rng: Source of its wording and of its first thought.
    """

    def __init__(self, scenario: Dialogue, patience: int, changes_mind: float, rng: np.random.Generator) -> None:
        opening = scenario.turns[0].act
        self.domain = scenario.domain
        first_thoughts = _first_thought(scenario, rng) if rng.random() < changes_mind else {}
        self.progress = GoalProgress(scenario.goal, first_thoughts)
        self.patience = patience
        self._rng = rng
        self._agenda = [self._tell(slot) for slot in reversed(scenario.goal)]  # a stack: the last item is next
        self._last = opening
        self._spoken(opening)

    def reply(self, text: str) -> Reply:
        """Answer the agent's turn."""
        heard = understand("assistant", text, self.domain)
        before = self.progress.worth()
        needed = self._take_in(heard)
        self.patience -= not needed
        closed = heard is not None and heard.act == AGENT_GOODBYE
        if closed or self.patience <= 0:
            self._push(GOODBYE)
        act = self._agenda.pop() if self._agenda else self._last
        self._spoken(act)
        success = act == THANKS
        return Reply(
            text=GOODBYE_TEXT if act == GOODBYE else say(act, self.progress.mind, self._rng),
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
        if heard.act.startswith("ask.") and heard.slot in self.progress.goal:
            return self._take_in_question(heard.slot)
        if heard.act == f"done.{self.domain}":
            return self._take_in_statement(heard)
        if heard.act != GO_ON:
            self._push(self._last)
        return False

    def _take_in_question(self, slot: str) -> bool:
        is_new = not self.progress.is_settled(slot)
        self.progress.tell(slot, asked=True)
        self._push(self._tell(slot))
        return is_new

    def _take_in_statement(self, heard: Understood) -> bool:
        wrong = self.progress.hear(heard.slots)
        if wrong:
            self._push(self._tell(wrong[0]))
            return False
        still_open = self.progress.open_slots()
        if still_open:
            self._push(self._tell(still_open[0]))
            return False
        changed = self.progress.change_mind()
        if changed:
            self._push(self._tell(changed))
        else:
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


def _first_thought(scenario: Dialogue, rng: np.random.Generator) -> dict[str, str]:
    """Another value for one of the slots that the opening does not tell."""
    opening = scenario.turns[0].act
    slots = [slot for slot in scenario.goal if slot in CHANGING_SLOTS and not opening.endswith(f".{slot}")]
    slot = slots[rng.integers(len(slots))]
    values = [" ".join(option.symbols) for option in dialogue_grammar().alternatives("{" + slot + "}")]
    others = [value for value in values if value != scenario.goal[slot]]
    return {slot: others[rng.integers(len(others))]}
