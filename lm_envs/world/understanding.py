"""What a turn at the help desk means: its act and the values in it, read with the grammar that also writes the turns.

The grammar is compiled to regular expressions, one for each role and domain, with a group for every slot.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

from lm_envs.errors import UnknownNameError
from lm_envs.world.dialogues import ANSWER_SLOTS, DOMAINS, GOAL_SLOTS, ROLES, derived_values, dialogue_grammar
from lm_envs.world.grammar import is_symbol
from lm_envs.world.spelling import SENTENCE_ENDS

GENERAL = ""
"""The domain of what is said at every desk: thanks, goodbyes, and "Sure."."""
GO_ON = "assistant.continue"
"""The act of a turn that says nothing but "Sure.", "I see." or "I am sorry to hear that."."""

PROMISES = {"return": {"delay": "delay"}, "fault": {"visit": "visit.when"}}
"""What else the assistant's statement can say at a desk, and the symbol of the grammar that writes it."""

_FORMULAS = ("sure", "thanks", "sorry")
_LONGEST = 3  # sentences of the longest turn of the grammar
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*|[.,!?:]|[^\sa-z0-9.,!?:]+")
_MARK = "."  # stands for every mark that ends a sentence


class Understood(NamedTuple):
    """What a turn means.

    Attributes:
        act: The act, for example ``"ask.book.day"``, ``"tell.book.day"``, ``"done.book"`` or ``"user.thanks"``; the
            symbols of the grammar, and :data:`GO_ON`.
        slots: The values in the turn in the spelling of goals, by slot; not to be changed.
    """

    act: str
    slots: Mapping[str, str]

    @property
    def domain(self) -> str:
        """The domain that the act belongs to; :data:`GENERAL` where it belongs to none."""
        domain = self.act.split(".")[1]
        return domain if domain in GOAL_SLOTS else GENERAL

    @property
    def slot(self) -> str:
        """The slot that the act names, for example of ``"ask.book.day"``; empty where it names none."""
        parts = self.act.split(".")
        return parts[2] if len(parts) > 2 else ""


def understand(role: str, text: str, domain: str | None = None) -> Understood | None:
    """Read a turn of the help desk.

    Everything that the grammar writes is understood. Capitals, spaces, the choice of a or an, and the mark that
    ends a sentence are not looked at. A turn that is not in the grammar as a whole is understood if some of its
    sentences are: those that say something about the matter rather than a formula ("Sure.", "You are welcome."),
    then the longest run of sentences that is in the grammar, then the last one.

    Args:
        role: ``"user"`` or ``"assistant"``: who says it.
        text: The turn.
        domain: What the dialogue is about. The same words can be said at several desks ("On Monday, please.");
            they are read as words of this one if they can be, and without it of the first in :data:`DOMAINS`.

    Returns:
        Act and values; None for what is not understood.

    Raises:
        UnknownNameError: Unknown role or domain.
    """
    if role not in ROLES:
        raise UnknownNameError.for_name("role", role, ROLES)
    if domain is not None and domain not in GOAL_SLOTS:
        raise UnknownNameError.for_name("dialogue domain", domain, GOAL_SLOTS)
    return _understand(role, text, domain)


@lru_cache(maxsize=4096)
def _understand(role: str, text: str, domain: str | None) -> Understood | None:
    sentences = _sentences(text)
    desks = list(DOMAINS) if domain is None else [domain, *(name for name in DOMAINS if name != domain)]
    whole = "".join(sentences)
    for desk in (*desks, GENERAL):
        found = _reader(role, desk).read(whole)
        if found is not None:
            return found
    runs = list(_runs(sentences))
    readings = (_reader(role, desk).read(run) for subjects in (desks, [GENERAL]) for run in runs for desk in subjects)
    return next((found for found in readings if found is not None), None)


def _sentences(text: str) -> list[str]:
    """The sentences in lower case, each word followed by one space, and all ended by the same mark."""
    words = [_MARK if word in SENTENCE_ENDS else "a" if word == "an" else word for word in _WORD.findall(text.lower())]
    parts = (part.strip() for part in " ".join([*words, ""]).split(f" {_MARK} "))
    return [f"{part} {_MARK} " for part in parts if part]


def _runs(sentences: list[str]) -> Iterator[str]:
    """Parts of a turn, the longest and last first."""
    for length in range(min(_LONGEST, len(sentences) - 1), 0, -1):
        for start in range(len(sentences) - length, -1, -1):
            yield "".join(sentences[start : start + length])


@cache
def _reader(role: str, domain: str) -> _Reader:
    return _Reader(role, domain)


def acts_of(role: str, domain: str) -> dict[str, str]:
    """The acts of a role in a domain (or :data:`GENERAL`), with the symbol of the grammar that writes each.

    :data:`GO_ON` has several symbols, so it is written by ``"sure"`` here.
    """
    if domain == GENERAL:
        return {"user.thanks": "user.thanks"} if role == "user" else {"assistant.bye": "assistant.bye", GO_ON: "sure"}
    slots = GOAL_SLOTS[domain]
    if role == "user":
        acts = [f"open.{domain}", *(f"{kind}.{domain}.{slot}" for slot in slots for kind in ("open", "tell"))]
    else:
        acts = [*(f"ask.{domain}.{slot}" for slot in slots), f"done.{domain}"]
    return {act: act for act in acts if act in dialogue_grammar()}


class _Reader:
    """All turns that a role can say in one domain, as one regular expression."""

    def __init__(self, role: str, domain: str) -> None:
        slots = {slot: slot for slot in (*GOAL_SLOTS.get(domain, ()), *ANSWER_SLOTS.get(domain, ()))}
        self._values = _values(slots | (PROMISES.get(domain, {}) if role == "assistant" else {}))
        self._acts: dict[int, tuple[str, list[tuple[str, int]]]] = {}  # by the number of the alternative's group
        self._n_groups = 0
        acts = {act: [symbol] for act, symbol in acts_of(role, domain).items()}
        if GO_ON in acts:
            acts[GO_ON] = list(_FORMULAS)
        branches = [
            self._branch(act, option.symbols)
            for act, symbols in acts.items()
            for symbol in symbols
            for option in dialogue_grammar().alternatives("{" + symbol + "}")
        ]
        self._pattern = re.compile("|".join(branches))

    def read(self, words: str) -> Understood | None:
        found = self._pattern.fullmatch(words)
        if found is None or found.lastindex is None:
            return None
        act, groups = self._acts[found.lastindex]
        return Understood(act, {slot: self._values[slot][found[group][:-1]] for slot, group in groups})

    def _branch(self, act: str, symbols: tuple[str, ...]) -> str:
        """One alternative of an act, in a group of its own: the last group that a match closes."""
        self._n_groups += 1
        groups: list[tuple[str, int]] = []
        self._acts[self._n_groups] = (act, groups)
        return "(" + "".join(self._expression(symbol, groups) for symbol in symbols) + ")"

    def _expression(self, item: str, groups: list[tuple[str, int]]) -> str:
        if not is_symbol(item):
            return re.escape(_MARK if item in SENTENCE_ENDS else item.lower()) + " "
        slot = item[1:-1].split(".")[0]
        options = dialogue_grammar().alternatives(item)
        written = ["".join(self._expression(part, groups) for part in option.symbols) for option in options]
        if slot not in self._values:
            return f"(?:{'|'.join(dict.fromkeys(written))})"
        self._n_groups += 1
        groups.append((slot, self._n_groups))
        return f"({'|'.join(written)})"


def _values(slots: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The goal's value for each way in which a slot is said, in lower case: "your money back" is "my money back".

    Args:
        slots: The slots, and the symbol that writes each.
    """
    said: dict[str, dict[str, str]] = {}
    for slot, symbol in slots.items():
        for words in _derivations("{" + symbol + "}"):
            value = " ".join(words)
            forms = [value, *derived_values({slot: value}).values()]
            said.setdefault(slot, {}).update((form.lower(), value) for form in forms)
    return said


def _derivations(item: str) -> list[tuple[str, ...]]:
    """All lists of words that an item of the grammar may become."""
    if not is_symbol(item):
        return [(item,)]
    found: list[tuple[str, ...]] = []
    for option in dialogue_grammar().alternatives(item):
        parts = itertools.product(*(_derivations(part) for part in option.symbols))
        found += [tuple(itertools.chain.from_iterable(words)) for words in parts]
    return found
