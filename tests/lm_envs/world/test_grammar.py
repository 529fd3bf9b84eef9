"""The grammar engine: reading the notation, generating, recognising."""

import itertools

import numpy as np
import pytest

from lm_envs.world import dialogues, passages, reviews
from lm_envs.world.grammar import Grammar, is_symbol, parse_rules
from lm_envs.world.recogniser import Match, Recogniser
from lm_envs.world.rules import dialogues as dialogue_rules
from lm_envs.world.rules import passages as passage_rules
from lm_envs.world.words.products import PRODUCTS

RULES = """
sentence = the {noun.$n} {very?} work/works:$n .
very = very well
noun.sg = lamp | [3] kettle
noun.pl = lamps
sentence = {missing} never .
"""


@pytest.fixture
def grammar():
    return Grammar(parse_rules(RULES), {"n": ("sg", "pl")})


def language(grammar, symbol="sentence", draws=300):
    rng = np.random.default_rng(0)
    return {" ".join(grammar.generate(symbol, rng)) for _ in range(draws)}


def test_generates_exactly_the_language(grammar):
    nouns = [("lamp", "works"), ("kettle", "works"), ("lamps", "work")]
    expected = {f"the {n} {adverb}{v} ." for (n, v), adverb in itertools.product(nouns, ("", "very well "))}
    assert language(grammar) == expected


def test_recognises_exactly_the_language(grammar):
    recogniser = Recogniser(grammar, "sentence")
    written = language(grammar)
    for words in itertools.product(["the", "lamp", "lamps", "kettle", "work", "works", "."], repeat=4):
        expected = Match.COMPLETE if " ".join(words) in written else Match.NONE
        assert recogniser.match(words) is expected


def test_every_beginning_of_a_sentence_is_a_prefix(grammar):
    recogniser = Recogniser(grammar, "sentence")
    for sentence in language(grammar):
        words = sentence.split()
        assert all(recogniser.match(words[:n]) is Match.PREFIX for n in range(len(words)))


def test_a_cut_word_is_a_prefix_only_when_asked(grammar):
    recogniser = Recogniser(grammar, "sentence")
    assert recogniser.match(["the", "ket"], last_is_cut=True) is Match.PREFIX
    assert recogniser.match(["the", "ket"]) is Match.NONE
    assert recogniser.match(["th", "kettle"], last_is_cut=True) is Match.NONE


def test_expected_words_after_a_beginning(grammar):
    assert Recogniser(grammar, "sentence").expected(["the", "lamp", "lamp"]) == (2, ["very", "works"])


def test_weights_are_followed():
    grammar = Grammar(parse_rules("coin = [3] heads | tails"), {})
    rng = np.random.default_rng(0)
    heads = sum(grammar.generate("coin", rng) == ["heads"] for _ in range(2000))
    assert 1400 < heads < 1600


def test_copies_of_an_alternative_share_its_weight():
    rules = parse_rules("s\n    {w.$x}\n    other\nw.a = one\nw.b = two\nw.c = three")
    grammar = Grammar(rules, {"x": ("a", "b", "c", "undefined")})
    rng = np.random.default_rng(0)
    other = sum(grammar.generate("s", rng) == ["other"] for _ in range(2000))
    assert 900 < other < 1100


def test_slots_fix_the_words_of_a_symbol(grammar):
    rng = np.random.default_rng(0)
    assert {grammar.generate("sentence", rng, {"noun.sg": "red lamp"})[1] for _ in range(50)} == {"red", "lamps"}


def test_recursion_is_refused():
    with pytest.raises(ValueError, match="without recursion"):
        Grammar(parse_rules("a = x {b}\nb = {a}"), {})


def test_an_alternative_without_symbol_is_refused():
    with pytest.raises(ValueError, match="expected a symbol at the left margin"):
        parse_rules("    lost")


def reached(grammar, starts):
    """The numbers of the rules that some derivation from one of the symbols uses."""
    todo, seen, lines = ["{" + start + "}" for start in starts], set(), set()
    while todo:
        symbol = todo.pop()
        if symbol not in seen:
            seen.add(symbol)
            options = grammar.alternatives(symbol)
            todo += [item for option in options for item in option.symbols if is_symbol(item)]
            lines |= {option.line for option in options if not symbol.endswith("?}")}
    return lines


def unused(rules, used):
    return [rule for number, rule in enumerate(rules) if number not in used]


def test_every_review_rule_is_used_by_some_product():
    starts = ("begun", "header", "first", "ending.good", "ending.bad", "sentence.good", "sentence.bad")
    used = set().union(*(reached(reviews.product_grammar(p).grammar, starts) for p in PRODUCTS[::2]))
    assert not unused(reviews.shared_rules(), used)


def test_every_dialogue_and_passage_rule_is_used():
    rules = parse_rules(dialogue_rules.SLOT_VALUES + dialogue_rules.SPEECH)
    assert not unused(rules, reached(dialogues.dialogue_grammar(), ("user.any", "assistant.any")))
    rules = parse_rules(passage_rules.SLOT_VALUES + passage_rules.FACTS)
    assert not unused(rules, reached(passages.passage_grammar(), ("passage.sentence", "question", "answer")))
