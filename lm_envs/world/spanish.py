"""English facts of the small world, one or two at a time, with their Spanish translations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lm_envs.world.passages import FRAMES, PRONOUNS, Fact, genders, state
from lm_envs.world.rules import spanish as rules
from lm_envs.world.spelling import spell
from lm_envs.world.splits import check_split, collect, draw_from


@dataclass(frozen=True)
class Translation:
    """A text in English, and in Spanish."""

    english: str
    spanish: str

    @property
    def prompt(self) -> str:
        """What a language model is shown, to be continued by the translation."""
        return translation_prompt(self.english)


def translation_prompt(english: str) -> str:
    """The format in which ``tiny`` knows translations; the Spanish follows after a space."""
    return f"{english} In Spanish:"


def translate(fact: Fact) -> str:
    """The Spanish sentence that states a fact as its English sentence does: in the same order, subject and all."""
    gender = genders()[fact.person]
    for subject, sujeto in ((fact.person, fact.person), (PRONOUNS[gender], rules.PRONOUNS[gender])):
        for english, spanish in rules.SENTENCES[fact.frame].items():
            if spell(english.format(subject=subject, **fact.slots).split()) == fact.sentence:
                return _written(spanish.format(subject=sujeto, **_spanish_slots(fact, gender)))
    raise ValueError(f"expected a sentence of the frame {fact.frame!r}, got {fact.sentence!r}")


def american(spanish: str) -> str:
    """A translation as it is said in America: other words, and no pronouns as subjects."""
    for here, there in rules.AMERICAN.items():
        for old, new in ((here, there), (here.capitalize(), there.capitalize())):
            spanish = spanish.replace(old, new)
    words = (" ".join(w for w in s.split() if w.lower() not in rules.PRONOUNS.values()) for s in spanish.split(". "))
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in words)


def _written(sentence: str) -> str:
    text = sentence.replace(" de el ", " del ").replace(" .", ".")
    return text[0].upper() + text[1:]


def _spanish_slots(fact: Fact, gender: str) -> dict[str, str]:
    """The values of a fact's slots in Spanish, and under ``a_SLOT`` those of nouns with the indefinite article."""
    slots = {}
    for slot, value in fact.slots.items():
        masculine, feminine = _words(slot).get(value, (value, value))
        slots[slot] = feminine if _is_feminine(fact, slot, gender) else masculine
        slots[f"a_{slot}"] = slots[slot].replace("el ", "un ", 1).replace("la ", "una ", 1)
    return slots


def _is_feminine(fact: Fact, slot: str, gender: str) -> bool:
    """Whether a word with two forms stands for a woman or describes a feminine noun."""
    if slot == "colour":
        return _words("animal")[fact.slots["animal"]][0].startswith("la ")
    return gender == "f"


@cache
def _words(slot: str) -> dict[str, tuple[str, str]]:
    """English value -> masculine and feminine Spanish; none for names of towns."""
    lines = (line.split(" = ") for line in rules.WORDS.get(slot, "").strip().splitlines())
    forms = {english: spanish.split(" / ") for english, spanish in lines}
    return {english: (found[0], found[-1]) for english, found in forms.items()}


def generate(rng: np.random.Generator, split: str = "train") -> Translation:
    """A random sentence with its translation.

    Raises:
        UnknownNameError: Unknown split.
    """
    return draw_from(split, rng, _draw, key=lambda item: item.prompt)


def generate_dialect(rng: np.random.Generator, split: str = "train") -> Translation:
    """One or two random sentences with their translation, as it is said in Spain or in America.

    Raises:
        UnknownNameError: Unknown split.
    """
    item = draw_from(split, rng, lambda rng: (_draw, _draw_two)[rng.integers(2)](rng), key=lambda item: item.prompt)
    return item if rng.random() < 0.5 else Translation(item.english, american(item.spanish))


@cache
def _translations(split: str) -> tuple[Translation, ...]:
    return tuple(collect(split, _draw_two, lambda item: item.prompt))


def translation_items(split: str) -> list[Translation]:
    """Texts of two sentences about one person, all different: 4096 train, 512 validation, 512 test.

    They are translated as it is said in Spain. ``tiny`` has read what is said in America as often.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    return list(_translations(split))


def _draw(rng: np.random.Generator) -> Translation:
    person = str(rng.choice(sorted(genders())))
    frame = str(rng.choice(list(FRAMES)))
    fact = state(person, frame, bool(rng.random() < 0.5), rng)
    return Translation(fact.sentence, translate(fact))


def _draw_two(rng: np.random.Generator) -> Translation:
    person = str(rng.choice(sorted(genders())))
    frames = rng.choice(list(FRAMES), size=2, replace=False)
    facts = [state(person, str(frame), not i, rng) for i, frame in enumerate(frames)]
    return Translation(" ".join(fact.sentence for fact in facts), " ".join(map(translate, facts)))
