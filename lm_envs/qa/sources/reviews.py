"""Classification of product reviews: is one positive or negative, and what is it about?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import ClassVar

import numpy as np

from lm_envs.qa.sources.labels import Labelled, LabelQuestions
from lm_envs.world.reviews import MOODS, category_of, product_of, review_prompts, write

_LENGTHS = (1, 2, 3, 4)  # sentences after the neutral one


class SentimentQuestions(LabelQuestions):
    """Is a review positive or negative?

    Most sentences of a review take its side; there are more of these than of the other side.
    """

    labels: ClassVar[tuple[str, ...]] = ("positive", "negative")
    question: ClassVar[str] = "Is the review positive or negative?"

    @classmethod
    def draw(cls, split: str, rng: np.random.Generator) -> Iterator[Labelled]:
        """Endlessly write reviews."""
        while True:
            label = cls.labels[rng.integers(2)]
            kinds = _kinds("good" if label == "positive" else "bad", rng)
            yield _review(_opener(split, rng), kinds, rng), label


class TopicQuestions(LabelQuestions):
    """What kind of product is a review about?"""

    labels: ClassVar[tuple[str, ...]] = (
        *("books", "clothes", "electronics", "food", "furniture", "hotels", "restaurants", "tools"),
    )
    question: ClassVar[str] = "What is the review about?"

    @classmethod
    def draw(cls, split: str, rng: np.random.Generator) -> Iterator[Labelled]:
        """Endlessly write reviews of products of these kinds."""
        while True:
            opener = _opener(split, rng)
            category = category_of(product_of(opener) or "").name
            if category in cls.labels:
                yield _review(opener, _kinds(str(rng.choice(list(MOODS))), rng), rng), category


@cache
def _openers(split: str) -> tuple[str, ...]:
    """The whole sentences among the split's prompts."""
    return tuple(prompt for prompt in review_prompts(split) if prompt.endswith("."))


def _opener(split: str, rng: np.random.Generator) -> str:
    openers = _openers(split)
    return openers[rng.integers(len(openers))]


def _kinds(mood: str, rng: np.random.Generator) -> list[str]:
    """The kinds of a review's sentences, of which more take the mood's side than the other one."""
    other = {"good": "bad", "bad": "good"}.get(mood, "")
    while True:
        kinds = [
            str(kind) for kind in rng.choice(list(MOODS[mood]), rng.choice(_LENGTHS), p=list(MOODS[mood].values()))
        ]
        if not other or kinds.count(mood) > kinds.count(other):
            return kinds


def _review(opener: str, kinds: Sequence[str], rng: np.random.Generator) -> str:
    product = product_of(opener) or ""
    sentences = [opener, *(write(product, f"sentence.{kind}", rng) for kind in kinds)]
    return " ".join(dict.fromkeys(sentences))
