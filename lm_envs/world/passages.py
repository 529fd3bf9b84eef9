"""Little passages about people, with questions that one sentence of the passage answers, or none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from lm_envs.world.grammar import Grammar, parse_rules
from lm_envs.world.recogniser import Match, Recogniser
from lm_envs.world.report import GrammarReport
from lm_envs.world.rules.passages import FACTS, SLOT_VALUES
from lm_envs.world.spelling import Sentence, SpellingError, spell, split_sentences, split_words, unspell
from lm_envs.world.splits import check_split, collect, draw_from

FRAMES = {
    "job": ("job",),
    "home": ("town",),
    "pet": ("animal", "colour"),
    "buy": ("object", "store", "day"),
    "find": ("object", "spot"),
    "travel": ("transport",),
    "meal": ("food",),
    "drink": ("drink",),
    "hobby": ("hobby",),
    "meet": ("friend", "place", "time"),
}
UNKNOWN = "unknown"
_UNANSWERABLE_SHARE = 0.25
PRONOUNS = {"f": "she", "m": "he"}


@dataclass(frozen=True)
class Fact:
    """One statement: the person, the frame such as ``"buy"``, the values of its slots, and the sentence."""

    person: str
    frame: str
    slots: dict[str, str]
    sentence: str


@dataclass(frozen=True)
class Question:
    """A question, its gold answer (``"unknown"`` if nothing tells it), and the sentence that tells it."""

    text: str
    answer: str
    support: str

    @property
    def sentence(self) -> str:
        """The answer as a sentence: the one that tells it."""
        return self.support or f"{UNKNOWN}."

    @property
    def answerable(self) -> bool:
        """Whether the passage tells the answer."""
        return self.answer != UNKNOWN


@dataclass(frozen=True)
class Passage:
    """A passage with its facts and one question about it."""

    facts: tuple[Fact, ...]
    question: Question

    @property
    def text(self) -> str:
        """The sentences of the passage."""
        return " ".join(fact.sentence for fact in self.facts)

    @property
    def people(self) -> tuple[str, ...]:
        """The names of the people in the passage, in order of appearance."""
        return tuple(dict.fromkeys(fact.person for fact in self.facts))

    @property
    def prompt(self) -> str:
        """What a language model is shown: passage and question, to be continued by the answer."""
        return question_prompt(self.text, self.question.text)


def question_prompt(passage: str, question: str) -> str:
    """The format in which ``tiny`` knows questions; the answer follows as ``" red."``."""
    return f"{passage} Question: {question} Answer:"


@lru_cache(maxsize=1)
def passage_grammar() -> Grammar:
    """The grammar of facts, questions and answers."""
    slots = sorted({slot for names in FRAMES.values() for slot in names})
    return Grammar(parse_rules(SLOT_VALUES + FACTS), {"g": ("f", "m"), "r": tuple(FRAMES), "s": slots})


@cache
def _recogniser(symbol: str) -> Recogniser:
    return Recogniser(passage_grammar(), symbol)


@lru_cache(maxsize=1)
def genders() -> dict[str, str]:
    """The names of the world's people, each with the gender ``"f"`` or ``"m"``."""
    grammar = passage_grammar()
    return {o.symbols[0]: g for g in "fm" for o in grammar.alternatives(f"{{name.{g}}}")}


def generate(rng: np.random.Generator, split: str = "train") -> Passage:
    """Write a random passage of three to six sentences with a question.

    Raises:
        UnknownNameError: Unknown split.
    """
    return draw_from(split, rng, _draw, key=lambda passage: passage.prompt)


@cache
def _passages(split: str) -> tuple[Passage, ...]:
    return tuple(collect(split, _draw, lambda passage: passage.prompt))


def passage_items(split: str) -> list[Passage]:
    """The passages of a split, all with different prompts: 4096 train, 512 validation, 512 test.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return list(_passages(split))


def _draw(rng: np.random.Generator) -> Passage:
    while True:
        facts = draw_facts(rng)
        question = _ask(facts, rng)
        if len({fact.sentence for fact in facts}) == len(facts):
            return Passage(tuple(facts), question)


def draw_facts(rng: np.random.Generator) -> list[Fact]:
    """Three or four random facts about one person, or two or three about each of two people."""
    people = list(rng.choice(sorted(genders()), size=int(rng.integers(1, 3)), replace=False))
    facts: list[Fact] = []
    for person in people:
        n_facts = int(rng.integers(3, 5)) if len(people) == 1 else int(rng.integers(2, 4))
        frames = rng.choice(list(FRAMES), size=n_facts, replace=False)
        facts += [state(str(person), str(frame), not i, rng) for i, frame in enumerate(frames)]
    return facts


def state(person: str, frame: str, first: bool, rng: np.random.Generator) -> Fact:
    """State a random fact of a frame; unless it is the first about a person, mostly a pronoun stands for the person."""
    grammar, gender = passage_grammar(), genders()[person]
    slots = {slot: " ".join(grammar.generate(slot, rng)) for slot in FRAMES[frame]}
    subject = person if first or rng.random() < 0.3 else PRONOUNS[gender]
    words = grammar.generate(f"fact.{frame}.{gender}", rng, {**slots, f"subject.{gender}": subject})
    return Fact(person, frame, slots, spell(words))


def _ask(facts: list[Fact], rng: np.random.Generator) -> Question:
    """Ask for a value that a fact tells, or for something that is not told about its person."""
    fact = facts[rng.integers(len(facts))]
    gender = genders()[fact.person]
    if rng.random() < _UNANSWERABLE_SHARE:
        told = {f.frame for f in facts if f.person == fact.person}
        frame = str(rng.choice([name for name in FRAMES if name not in told]))
        slot = str(rng.choice(FRAMES[frame]))
        return Question(_question(frame, slot, fact.person, gender, {}, rng), UNKNOWN, "")
    slot = str(rng.choice(FRAMES[fact.frame]))
    text = _question(fact.frame, slot, fact.person, gender, fact.slots, rng)
    return Question(text, fact.slots[slot], fact.sentence)


def _question(frame: str, slot: str, person: str, gender: str, slots: dict[str, str], rng: np.random.Generator) -> str:
    symbol = f"question.{frame}.{slot}.{gender}"
    return spell(passage_grammar().generate(symbol, rng, {**slots, f"name.{gender}": person}))


def check_passage(text: str) -> GrammarReport:
    """Check that every sentence states a fact, that pronouns fit the person named last, and that none repeats.

    Args:
        text: The passage without question; its end may be cut off.
    """
    if not text.strip():
        return GrammarReport(False, "the passage is empty")
    try:
        sentences = split_sentences(split_words(text))
        person = ""
        for position, sentence in enumerate(sentences):
            match = _match("passage.sentence", sentence)
            if match is Match.NONE or (match is Match.PREFIX and sentence.complete):
                return GrammarReport(False, f"sentence {position + 1} states no fact: {str(sentence)!r}")
            if sentence in sentences[:position]:
                return GrammarReport(False, f"sentence {position + 1} repeats an earlier one: {str(sentence)!r}")
            person = next((word for word in sentence.words if word in genders()), person)
            pronouns = {"he", "she"}.intersection(map(str.lower, sentence.words))
            if pronouns - {PRONOUNS.get(genders().get(person, ""))}:
                return GrammarReport(
                    False, f"sentence {position + 1} has a pronoun without a person: {str(sentence)!r}"
                )
    except SpellingError as error:
        return GrammarReport(False, str(error))
    return GrammarReport(True, complete=sentences[-1].complete)


def check_question(text: str) -> GrammarReport:
    """Check that a text is one whole question of the world."""
    try:
        sentences = split_sentences(split_words(text))
        if len(sentences) == 1 and _match("question", sentences[0]) is Match.COMPLETE:
            return GrammarReport(True, complete=True)
    except SpellingError as error:
        return GrammarReport(False, str(error))
    return GrammarReport(False, f"not a question of the world: {text!r}")


def _match(symbol: str, sentence: Sentence) -> Match:
    cut = not sentence.complete
    matches = {_recogniser(symbol).match(words, last_is_cut=cut) for words in unspell(sentence)}
    return max(matches, key=[Match.NONE, Match.PREFIX, Match.COMPLETE].index)
