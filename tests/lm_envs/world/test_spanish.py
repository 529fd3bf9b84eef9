"""English facts in Spanish."""

from itertools import product

import numpy as np
import pytest

from lm_envs.errors import UnknownNameError
from lm_envs.world.passages import FRAMES, PRONOUNS, Fact, genders, passage_grammar
from lm_envs.world.rules import spanish as rules
from lm_envs.world.spanish import (
    american,
    generate,
    generate_dialect,
    translate,
    translation_items,
    translation_prompt,
)
from lm_envs.world.spelling import spell
from lm_envs.world.splits import split_of

SPLITS = ("train", "validation", "test")

# person, frame, slots, English, Spanish; written by hand
TABLE = [
    ("Anna", "job", {"job": "teacher"}, "Anna is a teacher.", "Anna es maestra."),
    ("Tom", "job", {"job": "teacher"}, "Tom works as a teacher.", "Tom trabaja como maestro."),
    ("Ruth", "job", {"job": "driver"}, "She is a driver.", "Ella es conductora."),
    ("Leo", "job", {"job": "singer"}, "He works as a singer.", "Él trabaja como cantante."),
    ("Nina", "job", {"job": "pilot"}, "Nina is a pilot.", "Nina es piloto."),
    ("Hugo", "home", {"town": "Oakton"}, "Hugo lives in Oakton.", "Hugo vive en Oakton."),
    ("Sara", "home", {"town": "Milford"}, "She has a house in Milford.", "Ella tiene una casa en Milford."),
    ("Paul", "pet", {"animal": "dog", "colour": "red"}, "Paul has a red dog.", "Paul tiene un perro rojo."),
    ("Paul", "pet", {"animal": "goat", "colour": "red"}, "He owns a red goat.", "Él cuida una cabra roja."),
    ("Emma", "pet", {"animal": "goat", "colour": "blue"}, "She has a blue goat.", "Ella tiene una cabra azul."),
    ("Emma", "pet", {"animal": "duck", "colour": "yellow"}, "Emma owns a yellow duck.", "Emma cuida un pato amarillo."),
    (
        "Clara",
        "buy",
        {"object": "umbrella", "store": "bakery", "day": "Sunday"},
        "On Sunday Clara bought an umbrella at the bakery.",
        "El domingo Clara compró un paraguas en la panadería.",
    ),
    (
        "Mark",
        "buy",
        {"object": "guitar", "store": "market", "day": "Wednesday"},
        "He bought a guitar at the market on Wednesday.",
        "Él compró una guitarra en el mercado el miércoles.",
    ),
    ("Julia", "find", {"object": "lamp", "spot": "tree"}, "Julia found a lamp under the tree.",
     "Julia encontró una lámpara debajo del árbol."),
    ("Simon", "find", {"object": "ring", "spot": "chair"}, "He saw a ring under the chair.",
     "Él vio un anillo debajo de la silla."),
    ("Oscar", "find", {"object": "ball", "spot": "sofa"}, "Oscar saw a ball under the sofa.",
     "Oscar vio una pelota debajo del sofá."),
    ("Laura", "travel", {"transport": "boat"}, "Every morning she goes to work by boat.",
     "Cada mañana ella va al trabajo en barco."),
    ("David", "travel", {"transport": "bicycle"}, "David goes to work by bicycle.",
     "David va al trabajo en bicicleta."),
    ("Alice", "meal", {"food": "fish"}, "For lunch she always has fish.", "En el almuerzo ella siempre toma pescado."),
    ("Martin", "meal", {"food": "honey"}, "Martin eats honey for lunch.", "Martin come miel en el almuerzo."),
    ("Peter", "drink", {"drink": "juice"}, "In the morning he drinks juice.", "Por la mañana él bebe zumo."),
    ("Maria", "drink", {"drink": "water"}, "Maria drinks water every morning.", "Maria bebe agua cada mañana."),
    ("Tom", "hobby", {"hobby": "flute"}, "Tom plays the flute in the evening.", "Tom toca la flauta por la noche."),
    ("Anna", "hobby", {"hobby": "drum"}, "In the evening she plays the drum.", "Por la noche ella toca el tambor."),
    ("Anna", "meet", {"friend": "nurse", "place": "beach", "time": "six"}, "At six Anna met a nurse at the beach.",
     "A las seis Anna vio a un enfermero en la playa."),
    ("Hugo", "meet", {"friend": "colleague", "place": "park", "time": "ten"}, "He met a colleague at the park at ten.",
     "Él vio a un colega en el parque a las diez."),
]  # fmt: skip


@pytest.mark.parametrize(("person", "frame", "slots", "english", "spanish"), TABLE)
def test_known_sentences(person, frame, slots, english, spanish):
    assert translate(Fact(person, frame, slots, english)) == spanish


def test_the_table_has_every_sentence_of_the_grammar():
    for frame, sentences in rules.SENTENCES.items():
        for english in sentences:
            said = [
                row[3] == spell(english.format(subject=subject, **row[2]).split())
                for row in TABLE
                if row[1] == frame
                for subject in (row[0], PRONOUNS[genders()[row[0]]])
            ]
            assert any(said), english


def values(slot):
    return [" ".join(option.symbols) for option in passage_grammar().alternatives(f"{{{slot}}}")]


@pytest.mark.parametrize("frame", FRAMES)
def test_every_fact_has_a_translation_of_its_own(frame):
    """Whatever the slots, the person's gender, the order of words: Spanish that no other fact has."""
    translations = {}
    for choice in product(*(values(slot) for slot in FRAMES[frame])):
        slots = dict(zip(FRAMES[frame], choice, strict=True))
        for person in ("Anna", "Tom"):
            for english in rules.SENTENCES[frame]:
                for subject in (person, PRONOUNS[genders()[person]]):
                    sentence = spell(english.format(subject=subject, **slots).split())
                    spanish = translate(Fact(person, frame, slots, sentence))
                    assert translations.setdefault(spanish, sentence) == sentence
                    assert spanish[0].isupper() and spanish.endswith(".") and " ." not in spanish
                    assert not {"{", "/", "="} & set(spanish) and "  " not in spanish and " de el " not in spanish


@pytest.mark.parametrize(
    ("spain", "america"),
    [
        ("Ella es conductora. Ella va al trabajo en autobús.", "Es chofer. Viaja al trabajo en bus."),
        ("A las seis él vio a un primo en el parque.", "A las seis se encontró con un primo en el parque."),
        ("Tom encontró un mapa debajo del banco. Él bebe zumo.", "Tom halló un mapa bajo el banco. Bebe jugo."),
        ("Por la noche ella toca el piano.", "En la noche toca el piano."),
        ("Emma vive en Oakton.", "Emma vive en Oakton."),
    ],
)
def test_what_is_said_in_america(spain, america):
    assert american(spain) == america


def test_half_of_the_dialects_are_american_and_half_are_pairs():
    rng = np.random.default_rng(0)
    texts = [generate_dialect(rng).spanish for _ in range(600)]
    assert 0.4 < np.mean([text.count(".") == 2 for text in texts]) < 0.6
    here, there = (sum(word in text for text in texts) for word in (" debajo de", " bajo "))
    assert 0.6 < here / there < 1.6


def test_no_english_is_left():
    names = set(genders()) | set(values("town"))
    english = {word.lower() for row in TABLE for word in row[3].rstrip(".").split()} - {name.lower() for name in names}
    both = {"a", "piano"}  # words of either language
    for item in translation_items("test"):
        words = {word.lower() for word in item.spanish.rstrip(".").split()}
        assert not words & english - both, item


def test_the_rules_have_every_frame_and_every_value():
    assert set(rules.SENTENCES) == set(FRAMES)
    for slot in {slot for slots in FRAMES.values() for slot in slots} - {"town"}:
        known = [line.split(" = ")[0] for line in rules.WORDS[slot].strip().splitlines()]
        assert sorted(known) == sorted(values(slot)), slot


def test_a_sentence_of_another_frame_is_refused():
    with pytest.raises(ValueError, match="expected a sentence of the frame 'job', got 'Anna sings.'"):
        translate(Fact("Anna", "job", {"job": "singer"}, "Anna sings."))


def test_splits_are_disjoint_fixed_and_full():
    items = {split: translation_items(split) for split in SPLITS}
    assert [len(items[split]) for split in SPLITS] == [4096, 512, 512]
    prompts = [item.prompt for split in SPLITS for item in items[split]]
    assert len(set(prompts)) == len(prompts)
    assert all(split_of(item.prompt) == split for split in SPLITS for item in items[split])
    assert items["validation"][0] == translation_items("validation")[0]


def test_items_are_two_sentences_about_one_person():
    for item in translation_items("validation"):
        for text in (item.english, item.spanish):
            assert text.count(".") == 2 and text.endswith("."), item
        (name,) = set(item.english.replace(".", "").split()) & set(genders())
        assert name in item.spanish


def test_the_prompt():
    item = translation_items("test")[0]
    assert item.prompt == translation_prompt(item.english) == f"{item.english} In Spanish:"


@pytest.mark.parametrize("make", [generate, generate_dialect])
@pytest.mark.parametrize("split", SPLITS)
def test_generated_sentences_are_of_their_split(split, make):
    twins = [[make(np.random.default_rng(3), split) for _ in range(2)] for _ in range(2)]
    assert twins[0] == twins[1]
    assert split_of(twins[0][0].prompt) == split


@pytest.mark.parametrize("ask", [translation_items, lambda split: generate(np.random.default_rng(0), split)])
def test_unknown_split(ask):
    with pytest.raises(UnknownNameError, match="unknown split 'tests'. Did you mean 'test'"):
        ask("tests")
