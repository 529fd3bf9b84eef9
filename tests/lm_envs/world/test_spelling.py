"""Spaces, capitals, punctuation and articles."""

import pytest

from lm_envs.world.spelling import Sentence, SpellingError, spell, split_sentences, split_words, unspell


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("a lamp .", "A lamp."),
        ("it is a ugly lamp , and a oven !", "It is an ugly lamp, and an oven!"),
        ("a honest useful man", "An honest useful man"),
        ("a useful map", "A useful map"),
        ("a hour", "An hour"),
        ("I like Monday .", "I like Monday."),
    ],
)
def test_spell(words, text):
    assert spell(words.split()) == text


def test_spelling_is_undone():
    words = "it was a excellent idea , and a good one .".split()
    (sentence,) = split_sentences(split_words(spell(words)))
    assert tuple(words) in unspell(sentence)


@pytest.mark.parametrize(
    "text", ["Two  spaces.", "A lamp .", "A lamp. ", " A lamp.", "A lamp,and", "A @ lamp.", "A\nlamp."]
)
def test_wrong_spaces_and_characters_are_reported(text):
    with pytest.raises(SpellingError, match="wrong spaces|unexpected character"):
        split_words(text)


@pytest.mark.parametrize("text", ["It is an lamp.", "It is a ugly lamp.", "It is an useful lamp."])
def test_wrong_articles_are_reported(text):
    (sentence,) = split_sentences(split_words(text))
    with pytest.raises(SpellingError, match="wrong article"):
        unspell(sentence)


def test_a_small_first_letter_is_reported():
    with pytest.raises(SpellingError, match="no capital"):
        unspell(Sentence(("it", "works", "."), complete=True))


def test_split_sentences_keeps_an_unfinished_end():
    sentences = split_sentences(split_words("It works! I like"))
    assert [(str(s), s.complete) for s in sentences] == [("It works!", True), ("I like", False)]
