"""Product reviews: writing them, and checking that a text is one.

A review is a neutral prompt (an opening sentence, or the beginning of one) and two to five more sentences
about the same product. Most reviews lean to one side; each of their sentences has a chance to disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from lm_envs.world.grammar import Grammar, Rule, parse_rules
from lm_envs.world.recogniser import Match, Recogniser
from lm_envs.world.report import GrammarReport
from lm_envs.world.rules.openers import OPENERS
from lm_envs.world.rules.reviews import CLAUSES, PHRASES, SENTENCES
from lm_envs.world.rules.sayings import SAYINGS
from lm_envs.world.spelling import Sentence, SpellingError, spell, split_sentences, split_words, unspell
from lm_envs.world.splits import check_split, collect, split_of
from lm_envs.world.words.everyday import PEOPLE, TIMES
from lm_envs.world.words.opinions import ADJECTIVES, VERBS
from lm_envs.world.words.products import CATEGORIES, PRODUCTS, Category

PRODUCT_WORD = "PRODUCT"
MOODS = {
    "good": {"good": 0.74, "bad": 0.06, "mixed": 0.06, "plain": 0.14},
    "bad": {"good": 0.06, "bad": 0.74, "mixed": 0.06, "plain": 0.14},
    "mixed": {"good": 0.32, "bad": 0.32, "mixed": 0.16, "plain": 0.20},
}
MOOD_SHARES = {"good": 0.36, "bad": 0.45, "mixed": 0.19}
_LENGTHS = (2, 3, 4, 5)
_LENGTH_SHARES = (0.3, 0.4, 0.2, 0.1)


@dataclass(frozen=True)
class Review:
    """A review with what it was made from.

    Attributes:
        prompt: The beginning, neutral in sentiment.
        completion: What follows, starting with a space.
        product: The product's noun.
        category: The product's category.
        mood: ``"good"``, ``"bad"`` or ``"mixed"``.
    """

    prompt: str
    completion: str
    product: str
    category: str
    mood: str

    @property
    def text(self) -> str:
        """The whole review."""
        return self.prompt + self.completion

    @property
    def positive(self) -> bool:
        """Whether the review was meant to be positive."""
        return self.mood == "good"


@lru_cache(maxsize=1)
def shared_rules() -> tuple[Rule, ...]:
    """The rules of all reviews, to which each category adds its nouns and verbs."""
    parts = (OPENERS, PHRASES, CLAUSES, SENTENCES, SAYINGS, PEOPLE, TIMES, ADJECTIVES, VERBS)
    return tuple(rule for part in parts for rule in parse_rules(part))


def _category_rules(category: Category, number: str) -> list[Rule]:
    counted = number == "sg" and "mass" not in category.modes
    lines = [f"noun.{kind}.sg = {' | '.join(nouns[0])}" for kind, nouns in category.aspects.items()]
    lines += [f"noun.{kind}.pl = {' | '.join(nouns[1])}" for kind, nouns in category.aspects.items()]
    lines += [f"if.{name} = -" for name in (*category.modes, number, *(["count"] if counted else []))]
    lines += [f"verb.{form} = {verb}" for form, verb in zip(("base", "past", "done"), category.verb, strict=True)]
    lines.append(f"place = {' | '.join(category.places)}")
    past = "visit" in category.modes
    lines += ["be.sg = was", "be.pl = were"] if past else ["be.sg = is", "be.pl = are"]
    return parse_rules("\n".join(lines))


class ProductGrammar:
    """The sentences about the products of one category and number.

    Args:
        category: The category.
        number: ``"sg"`` or ``"pl"``.
    """

    def __init__(self, category: Category, number: str) -> None:
        domains = {
            "k": (*category.aspects, "any"),
            "o": category.own_kinds,
            "n": ("sg", "pl"),
            "v": ("good", "bad"),
            "w": ("good", "bad"),
            "p": (number,),
        }
        self.grammar = Grammar([*shared_rules(), *_category_rules(category, number)], domains)
        self.header = Recogniser(self.grammar, "header")
        self.first = Recogniser(self.grammar, "first")
        self.later = Recogniser(self.grammar, "sentence.any")


@cache
def _product_grammar(category: Category, number: str) -> ProductGrammar:
    return ProductGrammar(category, number)


@cache
def _placed(product: str) -> tuple[Category, str]:
    for category in CATEGORIES:
        if product in category.singular:
            return category, "sg"
        if product in category.plural:
            return category, "pl"
    raise KeyError(product)


def product_grammar(product: str) -> ProductGrammar:
    """The grammar for reviews of ``product``, which is shared with all products of its category and number."""
    return _product_grammar(*_placed(product))


def category_of(product: str) -> Category:
    """The category of a product."""
    return _placed(product)[0]


def write(product: str, symbol: str, rng: np.random.Generator, capital: bool = True) -> str:
    """Write a random text for a symbol of the product's grammar, spelled out."""
    words = product_grammar(product).grammar.generate(symbol, rng)
    return spell([product if word == PRODUCT_WORD else word for word in words], capital)


def _draw_prompt(rng: np.random.Generator) -> tuple[str, str]:
    """A random prompt with its product."""
    product = PRODUCTS[rng.integers(len(PRODUCTS))]
    prompt = write(product, "begun" if rng.random() < 0.25 else "opener", rng)
    if rng.random() < 0.2:
        prompt = write(product, "header", rng) + " " + prompt
    return prompt, product


def generate(rng: np.random.Generator, split: str = "train") -> Review:
    """Write a random review.

    Args:
        rng: Source of all randomness.
        split: The split that the prompt belongs to.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    prompt, product = _draw_prompt(rng)
    while split_of(prompt) != split:
        prompt, product = _draw_prompt(rng)
    mood = str(rng.choice(list(MOOD_SHARES), p=list(MOOD_SHARES.values())))
    return Review(prompt, _complete(prompt, product, mood, rng), product, category_of(product).name, mood)


def _complete(prompt: str, product: str, mood: str, rng: np.random.Generator) -> str:
    sentences: list[str] = []
    if prompt.endswith(", and"):
        sides = MOODS[mood]["good"], MOODS[mood]["bad"]
        valence = "good" if rng.random() < sides[0] / sum(sides) else "bad"
        sentences.append(write(product, f"ending.{valence}", rng, capital=False))
    for _ in range(int(rng.choice(_LENGTHS, p=_LENGTH_SHARES)) - len(sentences)):
        sentences.append(_next_sentence(product, mood, sentences, rng))
    return " " + " ".join(sentences)


def _next_sentence(product: str, mood: str, earlier: list[str], rng: np.random.Generator) -> str:
    """A sentence in the given mood that does not come back to what was said."""
    said = {word.lower() for sentence in earlier for word in split_words(sentence)}
    for _ in range(8):
        kind = str(rng.choice(list(MOODS[mood]), p=list(MOODS[mood].values())))
        sentence = write(product, f"sentence.{kind}", rng)
        topics = _topics(product, sentence)
        if not said.intersection(topics) and len(set(topics)) == len(topics):
            break
    while sentence in earlier:
        sentence = write(product, "sentence.any", rng)
    return sentence


@cache
def aspects_of(category: Category) -> frozenset[str]:
    """All aspects of a category's products."""
    return frozenset(noun for numbers in category.aspects.values() for nouns in numbers for noun in nouns)


def _topics(product: str, sentence: str) -> list[str]:
    """The aspects and opinion words of a sentence, which should not be repeated."""
    topics = aspects_of(category_of(product)) | OPINIONS | _ONCE
    return [word for word in map(str.lower, split_words(sentence)) if word in topics]


OPINIONS = frozenset(
    rule.alternative for rule in parse_rules(ADJECTIVES + VERBS) if rule.symbol.endswith(("good", "bad", "any"))
) - {"good", "bad", "like"}
_ONCE = frozenset("box arrived came cost paid best worst recommend everything stars star asked".split())


@cache
def _review_prompts(split: str) -> tuple[str, ...]:
    return tuple(collect(split, lambda rng: _draw_prompt(rng)[0], key=str))


def review_prompts(split: str) -> list[str]:
    """The review prompts of a split: 4096 for training, 512 for validation, 512 for testing, all different.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return list(_review_prompts(split))


def product_of(prompt: str) -> str | None:
    """The product that a text speaks about: the first product noun in it, or None."""
    words = prompt.lower().replace(",", " ").replace(".", " ").replace(":", " ").split()
    return next((word for word in words if word in _PRODUCT_SET), None)


_PRODUCT_SET = frozenset(PRODUCTS)


def check_review(prompt: str, completion: str) -> GrammarReport:
    """Check that prompt and completion together are a review of the prompt's product.

    Every sentence must be one that the world's grammar can write about that product, spelled right, and none may
    occur twice. The last sentence may be cut off anywhere, as a token budget does.

    Args:
        prompt: A prompt such as those of :func:`review_prompts`.
        completion: What follows it, with its leading space.
    """
    product = product_of(prompt)
    if product is None:
        return GrammarReport(False, f"the prompt names no known product: {prompt!r}")
    if not completion.strip():
        return GrammarReport(False, "the completion is empty")
    try:
        return check_sentences(product, prompt + completion)
    except SpellingError as error:
        return GrammarReport(False, str(error))


def check_sentences(product: str, text: str, openers: bool = False) -> GrammarReport:
    """Check a text about ``product``; only its first sentence, or with ``openers`` every one, may be an opener.

    Raises:
        SpellingError: The text is spelled wrong.
    """
    grammar = product_grammar(product)
    words = split_words(text)
    if ":" in words:
        colon = words.index(":") + 1
        header = Sentence(tuple(words[:colon]), complete=True)
        if match_sentence(grammar.header, header, product) is not Match.COMPLETE:
            return GrammarReport(False, f"not a heading: {str(header)!r}")
        words = words[colon:]
    sentences = split_sentences(words)
    for position, sentence in enumerate(sentences):
        recogniser = grammar.later if position and not openers else grammar.first
        match = match_sentence(recogniser, sentence, product)
        if match is Match.NONE or (match is Match.PREFIX and sentence.complete):
            return GrammarReport(False, f"sentence {position + 1} is not one about the {product}: {str(sentence)!r}")
        if sentence in sentences[:position]:
            return GrammarReport(False, f"sentence {position + 1} repeats an earlier one: {str(sentence)!r}")
    return GrammarReport(True, complete=sentences[-1].complete)


@lru_cache(maxsize=2**14)  # a text that grows by tokens is checked anew each time, and most of it stays the same
def match_sentence(recogniser: Recogniser, sentence: Sentence, product: str) -> Match:
    """Match one sentence about ``product``, in either reading of its first word.

    Raises:
        SpellingError: The sentence is spelled wrong.
    """
    cut = not sentence.complete
    readings = [[_name_product(word, product) for word in words] for words in unspell(sentence)]
    if cut and product.startswith(sentence.words[-1]):
        readings += [[*words[:-1], PRODUCT_WORD] for words in readings]
    matches = {recogniser.match(words, last_is_cut=cut) for words in readings}
    return next((match for match in (Match.COMPLETE, Match.PREFIX) if match in matches), Match.NONE)


def _name_product(word: str, product: str) -> str:
    """The grammar's word for a word of the text. What looks like the grammar's own placeholder is no word at all."""
    if word == product:
        return PRODUCT_WORD
    return "\0" if PRODUCT_WORD.startswith(word) else word
