"""Passages of the small world with a headline: the news of the person of whom there is most to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from lm_envs.world.passages import Fact, draw_facts
from lm_envs.world.spelling import spell
from lm_envs.world.splits import check_split, collect, draw_from

NEWS = {
    "meet": "meets a {friend} at the {place}",
    "find": "spots a {object} under the {spot}",
    "buy": "buys a {object} at the {store}",
    "pet": "has a {colour} {animal}",
    "hobby": "plays the {hobby}",
    "travel": "goes to work by {transport}",
    "meal": "eats {food} for lunch",
    "drink": "drinks {drink} in the morning",
    "home": "lives in {town}",
    "job": "works as a {job}",
}
"""Frame -> its news, the most important first."""


@dataclass(frozen=True)
class Headline:
    """A passage with its headline, and with a brief one."""

    passage: str
    text: str
    brief: str

    @property
    def prompt(self) -> str:
        """What a language model is shown, to be continued by the headline."""
        return headline_prompt(self.passage)


def headline_prompt(passage: str) -> str:
    """The format in which ``tiny`` knows headlines; the headline follows after a space."""
    return f"{passage} Headline:"


def headline(facts: Sequence[Fact], brief: bool = False) -> str:
    """Who the most important news is about, with job and town where they are told, and what they do.

    For example "Nurse Anna from Oakton meets a sailor at the park." Days, times, and everything else are left out; in
    brief, job and town too.
    """
    ranks = list(NEWS)
    news = min(facts, key=lambda fact: ranks.index(fact.frame))
    about = [] if brief else [fact for fact in facts if fact.person == news.person and fact is not news]
    told = {fact.frame: fact.slots for fact in about}
    who = [*([told["job"]["job"]] if "job" in told else []), news.person]
    whence = ["from", told["home"]["town"]] if "home" in told else []
    return spell([*who, *whence, *NEWS[news.frame].format(**news.slots).split(), "."])


def generate(rng: np.random.Generator, split: str = "train") -> Headline:
    """A random passage of three to six sentences with its headline.

    Raises:
        UnknownNameError: Unknown split.
    """
    return draw_from(split, rng, _draw, key=lambda item: item.prompt)


@cache
def _headlines(split: str) -> tuple[Headline, ...]:
    return tuple(collect(split, _draw, lambda item: item.prompt))


def headline_items(split: str) -> list[Headline]:
    """The passages of a split, all different: 4096 train, 512 validation, 512 test.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return list(_headlines(split))


def _draw(rng: np.random.Generator) -> Headline:
    facts = draw_facts(rng)
    return Headline(" ".join(fact.sentence for fact in facts), headline(facts), headline(facts, brief=True))
