"""Sentences of the small world whose words are labelled with the entities that they name.

The sentences are those of the passages. Which words are entities is not guessed from the text: they are what the
generator put into the slots of the sentence's rule. So ``teacher`` is a job in "Anna is a teacher." and none in "Anna
met a teacher.", where the slot is a friend's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from lm_envs.world.passages import FRAMES, Fact, genders, state
from lm_envs.world.spelling import split_words
from lm_envs.world.splits import check_split, collect

PERSON = "PER"
TYPE_OF_SLOT = {
    "job": "JOB",
    "town": "LOC",
    "store": "LOC",
    "place": "LOC",
    "spot": "LOC",
    "colour": "ANIMAL",  # "brown dog" is one entity
    "animal": "ANIMAL",
    "object": "OBJ",
    "hobby": "OBJ",
    "transport": "OBJ",
    "food": "FOOD",
    "drink": "FOOD",
    "day": "TIME",
    "time": "TIME",
}
ENTITY_TYPES = tuple(sorted({PERSON, *TYPE_OF_SLOT.values()}))


@dataclass(frozen=True)
class EntitySentence:
    """A sentence with a label for each word.

    Attributes:
        words: Words and punctuation marks.
        labels: BIO labels: ``"B-PER"``, ``"I-ANIMAL"``, ``"O"``.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]


def label_fact(fact: Fact) -> EntitySentence:
    """Label the words of a fact's sentence by the slots that they come from."""
    words = split_words(fact.sentence)
    types = {fact.person: PERSON}
    types |= {value: TYPE_OF_SLOT[slot] for slot, value in fact.slots.items() if slot in TYPE_OF_SLOT}
    found = [types.get(word, "") for word in words]
    labels = (
        "O" if not kind else f"{'I' if kind == before else 'B'}-{kind}" for before, kind in pairwise(["", *found])
    )
    return EntitySentence(tuple(words), tuple(labels))


@cache
def _entity_sentences(split: str) -> tuple[EntitySentence, ...]:
    return tuple(collect(split, _draw, lambda item: " ".join(item.words)))


def entity_sentences(split: str) -> list[EntitySentence]:
    """The sentences of a split, all different: 4096 train, 512 validation, 512 test.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return list(_entity_sentences(split))


def _draw(rng: np.random.Generator) -> EntitySentence:
    person = str(rng.choice(sorted(genders())))
    frame = str(rng.choice(list(FRAMES)))
    return label_fact(state(person, frame, bool(rng.random() < 0.5), rng))
