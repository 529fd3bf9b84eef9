"""Classification of help-desk turns: what does the customer want?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from lm_envs.qa.sources.labels import Labelled, LabelQuestions
from lm_envs.world.dialogues import DOMAINS, GOAL_SLOTS, dialogue_grammar, draw_goal, say
from lm_envs.world.splits import split_of

INTENTS = {"book": "book a table", "return": "return an item", "fault": "report a fault", "hours": "ask for hours"}


class IntentQuestions(LabelQuestions):
    """What does a customer want who opens a dialogue at the help desk?

    The world has no more than 560 different openings about opening hours, which limits the size.
    """

    labels: ClassVar[tuple[str, ...]] = tuple(INTENTS.values())
    question: ClassVar[str] = "What does the customer want?"
    sizes: ClassVar[Mapping[str, int]] = {"train": 1600, "validation": 160, "test": 160}

    @classmethod
    def draw(cls, split: str, rng: np.random.Generator) -> Iterator[Labelled]:
        """Endlessly write first turns of customers."""
        openings = {domain: _openings(domain) for domain in DOMAINS}
        while True:
            domain = DOMAINS[rng.integers(len(DOMAINS))]
            act = openings[domain][rng.integers(len(openings[domain]))]
            text = say(act, draw_goal(domain, rng)[0], rng)
            if split_of(text) == split:
                yield text, INTENTS[domain]


def _openings(domain: str) -> list[str]:
    acts = [f"open.{domain}", *(f"open.{domain}.{slot}" for slot in GOAL_SLOTS[domain])]
    return [act for act in acts if act in dialogue_grammar()]
