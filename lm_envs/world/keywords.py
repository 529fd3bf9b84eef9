"""The keywords task: write one or two review sentences that contain some given words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from lm_envs.world import reviews
from lm_envs.world.grammar import parse_rules
from lm_envs.world.report import GrammarReport
from lm_envs.world.spelling import SpellingError, split_words
from lm_envs.world.splits import check_split, collect, draw_from
from lm_envs.world.words.everyday import PEOPLE
from lm_envs.world.words.products import PRODUCTS

_SEPARATOR = ", "


def keyword_prompt(words: Sequence[str]) -> str:
    """Ask for a text with the given words, as in "Write about: lamp, shade, kitchen."."""
    return f"Write about: {_SEPARATOR.join(words)}."


@cache
def _content_words(product: str) -> frozenset[str]:
    """Words that may be asked for: aspects, opinions, people and places, besides the product itself."""
    category = reviews.category_of(product)
    places = {place.split()[-1] for place in category.places}
    people = {rule.alternative for rule in parse_rules(PEOPLE) if rule.symbol in ("relative", "relatives")}
    return frozenset((reviews.aspects_of(category) | reviews.OPINIONS | places | people) - {product})


def _draw(rng: np.random.Generator) -> tuple[list[str], str]:
    """A random set of keywords, with a text that contains them."""
    while True:
        product = PRODUCTS[rng.integers(len(PRODUCTS))]
        first = "opener" if rng.random() < 0.6 else "sentence.any"
        text = reviews.write(product, first, rng)
        if rng.random() < 0.75:
            text += " " + reviews.write(product, "sentence.any", rng)
        said = [word.lower() for word in split_words(text)]
        found = [word for word in dict.fromkeys(said) if word in _content_words(product)]
        if product in said and found and len(text.split()) <= 24:
            chosen = rng.permutation(found)[: int(rng.integers(1, 4))]
            return [product, *map(str, chosen)], text


def generate(rng: np.random.Generator, split: str = "train") -> tuple[list[str], str]:
    """Draw two to four keywords of a split (the product first), and a text with them.

    Raises:
        UnknownNameError: Unknown split.
    """
    return draw_from(split, rng, _draw, key=lambda item: _key(item[0]))


def _key(words: Sequence[str]) -> str:
    return _SEPARATOR.join([words[0], *sorted(words[1:])])


@cache
def _keyword_keys(split: str) -> tuple[str, ...]:
    return tuple(collect(split, lambda rng: _key(_draw(rng)[0]), key=str))


def keyword_sets(split: str) -> list[list[str]]:
    """Sets of two to four words, a product first, that one or two sentences can contain.

    Returns:
        4096 sets for training, 512 for validation and 512 for testing; the same ones in every call.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return [key.split(_SEPARATOR) for key in _keyword_keys(split)]


def keyword_coverage(words: Sequence[str], text: str) -> float:
    """The share of ``words`` that occur in ``text`` as whole words, whatever their capitals: 0..1."""
    try:
        said = {word.lower() for word in split_words(text.strip())}
    except SpellingError:
        said = {word.strip(".,!?:").lower() for word in text.split()}
    return sum(word.lower() in said for word in words) / len(words) if words else 1.0


def check_keywords_text(words: Sequence[str], text: str) -> GrammarReport:
    """Check that a text has all the words, and consists of review sentences about the product among them.

    Args:
        words: The keywords; the first product noun among them is the product.
        text: The text; a leading space is allowed, and the last sentence may be cut off.
    """
    product = next((word for word in words if word in PRODUCTS), None)
    if product is None:
        return GrammarReport(False, f"no product among the keywords {list(words)}")
    if not text.strip():
        return GrammarReport(False, "the text is empty")
    try:
        report = reviews.check_sentences(product, text.removeprefix(" "), openers=True)
    except SpellingError as error:
        return GrammarReport(False, str(error))
    missing = [word for word in words if keyword_coverage([word], text) < 1]
    if report.ok and missing:
        return GrammarReport(False, f"missing keywords: {', '.join(missing)}")
    return report
