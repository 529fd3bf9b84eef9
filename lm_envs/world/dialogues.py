"""Help-desk dialogues: booking a table, returning an item, reporting a fault, asking for opening hours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from lm_envs.errors import UnknownNameError
from lm_envs.world.grammar import Grammar, parse_rules
from lm_envs.world.recogniser import Match, Recogniser
from lm_envs.world.report import GrammarReport
from lm_envs.world.rules.dialogues import SLOT_VALUES, SPEECH
from lm_envs.world.spelling import SpellingError, spell, split_sentences, split_words, unspell
from lm_envs.world.splits import check_split, collect, draw_from

GOAL_SLOTS = {
    "book": ("people", "day", "time", "customer"),
    "return": ("item", "reason", "refund"),
    "fault": ("machine", "fault", "since"),
    "hours": ("shop", "day"),
}
DOMAINS = tuple(GOAL_SLOTS)
ANSWER_SLOTS = {"hours": ("opens", "closes")}
ROLES = ("user", "assistant")
SYSTEM_MESSAGES = {
    "book": "You are the host of a restaurant.",
    "return": "You are a helpful shop assistant.",
    "fault": "You repair broken machines.",
    "hours": "You give information to visitors.",
}


@dataclass(frozen=True)
class Turn:
    """One turn: the speaker (``"user"`` or ``"assistant"``), the text, its act such as ``"ask.book.day"``."""

    role: str
    text: str
    act: str


@dataclass(frozen=True)
class Dialogue:
    """A dialogue with its goal.

    Attributes:
        domain: ``"book"``, ``"return"``, ``"fault"`` or ``"hours"``.
        goal: The customer's values for :data:`GOAL_SLOTS`.
        answer: What only the assistant knows: the opening and closing time.
        turns: The turns, the customer's first.
    """

    domain: str
    goal: dict[str, str]
    answer: dict[str, str]
    turns: tuple[Turn, ...]

    def messages(self, system: bool = False) -> list[dict[str, str]]:
        """The turns in the form that chat templates take, with the domain's system message if wanted."""
        first = [{"role": "system", "content": SYSTEM_MESSAGES[self.domain]}] if system else []
        return first + [{"role": turn.role, "content": turn.text} for turn in self.turns]


@lru_cache(maxsize=1)
def dialogue_grammar() -> Grammar:
    """The grammar of all turns."""
    slots = sorted({slot for names in GOAL_SLOTS.values() for slot in names})
    return Grammar(parse_rules(SLOT_VALUES + SPEECH), {"d": tuple(GOAL_SLOTS), "s": slots})


@lru_cache(maxsize=2)
def _recogniser(role: str) -> Recogniser:
    return Recogniser(dialogue_grammar(), f"{role}.any")


def draw_goal(domain: str, rng: np.random.Generator) -> tuple[dict[str, str], dict[str, str]]:
    """Random values for the slots of a domain: the customer's goal, and the assistant's answer.

    Raises:
        UnknownNameError: Unknown domain.
    """
    if domain not in GOAL_SLOTS:
        raise UnknownNameError.for_name("dialogue domain", domain, GOAL_SLOTS)
    grammar = dialogue_grammar()
    goal = {slot: " ".join(grammar.generate(slot, rng)) for slot in GOAL_SLOTS[domain]}
    return goal, {slot: " ".join(grammar.generate(slot, rng)) for slot in ANSWER_SLOTS.get(domain, ())}


def say(act: str, slots: Mapping[str, str], rng: np.random.Generator) -> str:
    """Write a turn for an act such as ``"tell.book.day"``, with the given values of the slots."""
    words = dialogue_grammar().generate(act, rng, {**slots, **derived_values(slots)})
    return " ".join(spell(sentence.words) for sentence in split_sentences(words))


def longest_turn(act: str, length: Callable[[str], int]) -> str:
    """The longest turn for an act, whatever the values of its slots, by the ``length`` of its words."""
    words = dialogue_grammar().longest(act, length)
    return " ".join(spell(sentence.words) for sentence in split_sentences(words))


def derived_values(slots: Mapping[str, str]) -> dict[str, str]:
    """Values that follow from others: "my money back" is "your money back" for the assistant."""
    derived = {}
    if "refund" in slots:
        derived["refund.you"] = slots["refund"].replace("my", "your")
    if "since" in slots:
        derived["since.when"] = "on " + slots["since"] if slots["since"][0].isupper() else slots["since"]
    return derived


def generate(rng: np.random.Generator, split: str = "train") -> Dialogue:
    """Write a random dialogue of ``split``.

    Raises:
        UnknownNameError: Unknown split.
    """
    return draw_from(split, rng, _draw, key=_key)


def _draw(rng: np.random.Generator) -> Dialogue:
    domain = DOMAINS[rng.integers(len(DOMAINS))]
    goal, answer = draw_goal(domain, rng)
    turns = tuple(Turn(role, say(act, {**goal, **answer}, rng), act) for role, act in _acts(domain, rng))
    return Dialogue(domain, goal, answer, turns)


def _key(dialogue: Dialogue) -> str:
    """Goal and opening turn: what an environment starts from, and what decides the split."""
    return f"{dialogue.turns[0].text} {sorted(dialogue.goal.items())}"


@cache
def _dialogues(split: str) -> tuple[Dialogue, ...]:
    return tuple(collect(split, _draw, _key))


def dialogue_items(split: str) -> list[Dialogue]:
    """The dialogues of a split, all with different starts: 4096 train, 512 validation, 512 test.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return list(_dialogues(split))


def _acts(domain: str, rng: np.random.Generator) -> list[tuple[str, str]]:
    """The plan of a dialogue: who speaks, and what the turn does."""
    grammar = dialogue_grammar()
    openings = [slot for slot in GOAL_SLOTS[domain] if f"open.{domain}.{slot}" in grammar]
    told = openings[rng.integers(len(openings))] if rng.random() < 0.6 else ""
    acts = [("user", f"open.{domain}.{told}" if told else f"open.{domain}")]
    for slot in GOAL_SLOTS[domain]:
        if slot != told:
            acts += [("assistant", f"ask.{domain}.{slot}"), ("user", f"tell.{domain}.{slot}")]
    acts.append(("assistant", f"done.{domain}"))
    if rng.random() < 0.7:
        acts += [("user", "user.thanks"), ("assistant", "assistant.bye")]
    return acts


def check_turn(role: str, text: str) -> GrammarReport:
    """Check that a text is something that a customer or an assistant may say at the help desk.

    Args:
        role: ``"user"`` or ``"assistant"``.
        text: The turn; its end may be cut off.

    Raises:
        UnknownNameError: Unknown role.
    """
    if role not in ROLES:
        raise UnknownNameError.for_name("role", role, ROLES)
    if not text.strip():
        return GrammarReport(False, "the turn is empty")
    try:
        sentences = split_sentences(split_words(text))
        readings: list[tuple[str, ...]] = [()]
        for sentence in sentences:
            readings = [said + words for said in readings for words in dict.fromkeys(unspell(sentence))]
    except SpellingError as error:
        return GrammarReport(False, str(error))
    cut = not sentences[-1].complete
    matches = {_recogniser(role).match(words, last_is_cut=cut) for words in readings}
    if Match.COMPLETE in matches and not cut:
        return GrammarReport(True, complete=True)
    if Match.PREFIX in matches or Match.COMPLETE in matches:
        return GrammarReport(True)
    return GrammarReport(False, f"not a turn of the {role}: {text!r}")
