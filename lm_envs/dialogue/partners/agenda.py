"""The agenda-based user: rules that play the customer of the small world's help desk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from lm_envs.dialogue.partners.agenda_acts import DeskActs
from lm_envs.dialogue.partners.agenda_user import AgendaUser
from lm_envs.dialogue.partners.protocol import Message, Opening, Partners, Reply
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.world import dialogue_items
from lm_envs.world.dialogues import DOMAINS, GOAL_SLOTS, Dialogue


class AgendaPartners(Partners):
    """Users that book a table, return an item, report a fault, or ask for opening hours.

    A user has a hidden goal: constraints, a value for each slot of its domain, which the agent must learn; and
    requests, what it wants to hear when the matter is settled (``done.DOMAIN`` in the world's grammar): with a return,
    how long the refund takes; with a fault, that somebody comes today or tomorrow. Its agenda is a stack of what it
    wants to say, at first all its values. What the agent says pushes answers onto the stack; each turn says what is on
    top. In detail:

    * Asked for a slot, it tells it.
    * The matter is settled with a wrong value: it tells the first wrong slot again. If the agent takes that in, with
      "I see." or a friendly word of goodbye, it goes on with the next wrong slot, and is content when none is left.
    * The matter is settled with nothing wrong, but before all slots are known: it tells the first slot that is not.
    * The matter is settled with nothing wrong, but a request is not met: it says its last value once more.
    * A turn that only says "Sure." or "I see.": it tells the next item of its agenda.
    * A question about another domain, or something that is not understood: it says again what it said last, in other
      words maybe.
    * The matter is settled, each slot has been told by the user or stated by the agent, nothing that was stated and
      not corrected is wrong, and the requests are met: it thanks, and the conversation has succeeded. Values that the
      statement does not mention are not judged, nor the opening hours, which only the agent knows.
    * The agent says goodbye in any other case: so does the user.

    Every turn that brings it no further costs patience: a turn that asks for what has been told, that settles the
    matter too early, wrongly or without meeting a request, that is not understood or not about the matter, or merely
    says "Sure.". The user bears ``patience`` of them and leaves at the last one.

    The terms of a turn are ``success`` (1 in the turn that succeeds), ``slots`` (see below), ``turn_cost`` (-1),
    ``politeness`` (whether it has a polite formula) and ``relevance`` (whether it costs no patience). ``slots`` is
    what the turn adds to the share of slots and requests that the agent has earned: half a slot for asking for it while
    it is open, the other half for first stating its value right, and a request for first meeting it; success earns all
    that is left. So a success sums to 1, and nothing can be earned twice.

    Args:
        num_rows: Number of conversations side by side.
        split: Whose goals and openings: scenario ``i`` is the ``i``-th dialogue of the split.
        device: Not used; the rules run on the CPU.
        domains: Which of ``"book"``, ``"return"``, ``"fault"`` and ``"hours"``; None: all.
        patience: Lowest and highest patience, both included; drawn uniformly for each conversation.

    Raises:
        UnknownNameError: Unknown split or domain.
        ConfigurationError: Wrong range of patience, or no domain.

    References:
        Jost Schatzmann, Blaise Thomson, Karl Weilhammer, Hui Ye, Steve Young, "Agenda-Based User Simulation for
        Bootstrapping a POMDP Dialogue System", NAACL-HLT 2007, https://aclanthology.org/N07-2038/
    """

    columns: ClassVar[tuple[str, ...]] = ("goal", "domain")
    default_reward: ClassVar[Any] = {"goal_success": 1.0, "slots_filled": 0.5, "turn_cost": 0.02}

    def __init__(
        self,
        num_rows: int,
        split: str = "train",
        device: str = "cpu",
        domains: Sequence[str] | None = None,
        patience: tuple[int, int] = (2, 4),
    ) -> None:
        chosen = _checked_domains(domains)
        self._patience = _checked_patience(patience)
        self._split = split
        self._users: list[AgendaUser | None] = [None] * num_rows
        self.n_scenarios = len(_scenarios(split, chosen))
        self.acts: DeskActs = DeskActs(num_rows, chosen)

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Begin conversations; the goal and the domain are columns, and no part of the infos."""
        return [self._open(*arguments) for arguments in zip(rows, scenarios, rngs, strict=True)]

    def _open(self, row: int, number: int, rng: np.random.Generator) -> Opening:
        scenario = _scenarios(self._split, self.acts.domains)[number]
        lowest, highest = self._patience
        self._users[row] = AgendaUser(scenario, int(rng.integers(lowest, highest + 1)), rng)
        text = scenario.turns[0].text
        self.acts.begin(row, text)
        return Opening(
            messages=[{"role": "user", "content": text}],
            columns={"goal": dict(scenario.goal), "domain": scenario.domain},
        )

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """Answer the agent's turns."""
        return [self._reply(row, history[-1]["content"]) for row, history in zip(rows, histories, strict=True)]

    def _reply(self, row: int, text: str) -> Reply:
        user = self._users[row]
        if user is None:
            raise ConfigurationError(f"row {row} has no conversation; call open for it before reply.")
        reply = user.reply(text)
        self.acts.hear(row, reply.text)
        return reply


@cache
def _scenarios(split: str, domains: tuple[str, ...]) -> tuple[Dialogue, ...]:
    """The dialogues of a split; kept here, so that copies and pickles of partners do without them."""
    return tuple(dialogue for dialogue in dialogue_items(split) if dialogue.domain in domains)


def _checked_domains(domains: Sequence[str] | None) -> tuple[str, ...]:
    chosen = (domains,) if isinstance(domains, str) else DOMAINS if domains is None else tuple(domains)
    if not chosen:
        raise ConfigurationError(f"domains must name at least one of {', '.join(DOMAINS)}; got {domains!r}.")
    for name in chosen:
        if name not in GOAL_SLOTS:
            raise UnknownNameError.for_name("dialogue domain", name, DOMAINS)
    return tuple(name for name in DOMAINS if name in chosen)


def _checked_patience(patience: tuple[int, int]) -> tuple[int, int]:
    try:
        lowest, highest = patience
        is_range = 1 <= lowest <= highest and int(lowest) == lowest and int(highest) == highest
    except (TypeError, ValueError):
        is_range = False
    if not is_range:
        raise ConfigurationError(
            f"patience must be the lowest and the highest number of turns, such as (2, 4); got {patience!r}. "
            "Both are whole numbers of at least 1."
        )
    return int(lowest), int(highest)
