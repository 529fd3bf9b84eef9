"""Relation extraction: how do two marked entities of a sentence belong together?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from lm_envs.qa.sources.labels import Labelled, LabelQuestions
from lm_envs.world.passages import FRAMES, passage_grammar
from lm_envs.world.spelling import spell
from lm_envs.world.splits import split_of

RELATIONS = {
    ("job", "job"): "works as",
    ("home", "town"): "lives in",
    ("pet", "animal"): "owns",
    ("buy", "object"): "bought",
    ("buy", "store"): "shopped at",
    ("find", "object"): "found",
    ("travel", "transport"): "travels by",
    ("meal", "food"): "eats",
    ("drink", "drink"): "drinks",
    ("hobby", "hobby"): "plays",
    ("meet", "friend"): "met",
    ("meet", "place"): "was at",
}
"""The relation between a person and the value of a slot, by the fact's frame and the slot."""


class RelationQuestions(LabelQuestions):
    """How does the first marked entity, a person, belong to the second: ``[Anna] lives in [Oakton].``?

    Some sentences have three entities, of which the marks choose two. A sentence is in one split, whatever is marked.
    The world has no more than 200 sentences for some relations, which limits the size.
    """

    labels: ClassVar[tuple[str, ...]] = tuple(RELATIONS.values())
    question: ClassVar[str] = "What is the relation?"
    sizes: ClassVar[Mapping[str, int]] = {"train": 1728, "validation": 180, "test": 180}

    @classmethod
    def draw(cls, split: str, rng: np.random.Generator) -> Iterator[Labelled]:
        """Endlessly write sentences with two marks."""
        kinds = list(RELATIONS)
        while True:
            frame, slot = kinds[rng.integers(len(kinds))]
            sentence, person, value = _fact(frame, slot, rng)
            if split_of(sentence) == split:
                yield _marked(_marked(sentence, person), value), RELATIONS[frame, slot]


def _fact(frame: str, slot: str, rng: np.random.Generator) -> tuple[str, str, str]:
    """A sentence with the person's name, that name, and the slot's value."""
    grammar, gender = passage_grammar(), "fm"[rng.integers(2)]
    person = " ".join(grammar.generate(f"name.{gender}", rng))
    slots = {name: " ".join(grammar.generate(name, rng)) for name in FRAMES[frame]}
    words = grammar.generate(f"fact.{frame}.{gender}", rng, {**slots, f"subject.{gender}": person})
    return spell(words), person, slots[slot]


def _marked(sentence: str, entity: str) -> str:
    return re.sub(rf"\b{re.escape(entity)}\b", lambda found: f"[{found[0]}]", sentence, count=1)
