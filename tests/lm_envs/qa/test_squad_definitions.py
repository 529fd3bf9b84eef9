"""Exact match and token F1 are those of SQuAD's official scripts, written out here in full."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lm_envs import rewards


def normalize_answer(text: str) -> str:
    """As ``evaluate-v2.0.py`` of https://rajpurkar.github.io/SQuAD-explorer/ has it."""
    lower = text.lower()
    bare = "".join(character for character in lower if character not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", bare).split())


def official_exact(gold: str, answer: str) -> int:
    return int(normalize_answer(gold) == normalize_answer(answer))


def official_f1(gold: str, answer: str) -> float:
    gold_words, words = normalize_answer(gold).split(), normalize_answer(answer).split()
    n_same = sum((Counter(gold_words) & Counter(words)).values())
    if not gold_words or not words:
        return float(gold_words == words)
    if n_same == 0:
        return 0.0
    precision, recall = n_same / len(words), n_same / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def ours(name: str, answer: str, golds: list[str]) -> float:
    return rewards.get(name)(["p"], [answer], reference=[golds])[0]


# answer, gold answers, exact match, F1: computed by hand
TABLE = [
    ("Denver Broncos", ["Denver Broncos", "The Denver Broncos"], 1, 1),
    ("the Broncos of Denver", ["Denver Broncos"], 0, 4 / 5),  # broncos of denver: 2/3 and 1
    ("A. Turing", ["Turing"], 1, 1),  # without its full stop the initial is an article
    ("a.m.", ["am"], 1, 1),
    ("10:30 am", ["10:30 a.m."], 1, 1),
    ("don't", ["dont"], 1, 1),
    ("“quoted”", ["quoted"], 0, 0),  # only ASCII punctuation counts as punctuation
    ("naïve Straße", ["NAÏVE STRASSE"], 0, 1 / 2),  # lower() makes no ss of ß
    ("五 六", ["五六"], 0, 0),
    ("non\u00a0breaking", ["non breaking"], 1, 1),  # split() knows all white space
    ("4 4 4 4", ["4 4"], 0, 2 / 3),  # precision 1/2, recall 1
    ("in 1998 or 1999", ["1999", "in 1998", "1998 or 1999"], 0, 6 / 7),  # the best gold answer counts: 3/4 and 1
    ("", [""], 1, 1),
    ("", ["anything"], 0, 0),
    ("anything", [""], 0, 0),
    ("unknown", ["unknown"], 1, 1),
    ("Unknown.", ["unknown"], 1, 1),
    ("it is unknown", ["unknown"], 0, 1 / 2),
    ("known", ["unknown"], 0, 0),
]


@pytest.mark.parametrize(("answer", "golds", "exact", "f1"), TABLE)
def test_hand_computed(answer: str, golds: list[str], exact: int, f1: float) -> None:
    assert ours("exact_match", answer, golds) == exact == max(official_exact(gold, answer) for gold in golds)
    assert ours("token_f1", answer, golds) == pytest.approx(f1)
    assert max(official_f1(gold, answer) for gold in golds) == pytest.approx(f1)


WORDS = st.lists(
    st.sampled_from("the a an The A cat Cat cats red . , ! - ' é É ß 3 3.5 U.S. don't\u00a0x \n".split(" ")), max_size=6
).map(" ".join)


@given(answer=WORDS | st.text(max_size=20), golds=st.lists(WORDS | st.text(max_size=20), min_size=1, max_size=3))
@example(answer="the the", golds=["cat"])
def test_equal_to_the_official_scripts(answer: str, golds: list[str]) -> None:
    if not all(normalize_answer(text) for text in (answer, *golds)):
        return  # the one difference: what consists of articles and punctuation stays what it is, see below
    assert ours("exact_match", answer, golds) == max(official_exact(gold, answer) for gold in golds)
    assert ours("token_f1", answer, golds) == pytest.approx(max(official_f1(gold, answer) for gold in golds))


@pytest.mark.parametrize("answer", ["the", "+", "- -", "A"])
def test_what_the_scripts_take_for_silence_stays_an_answer(answer: str) -> None:
    for name, official in (("exact_match", official_exact), ("token_f1", official_f1)):
        assert ours(name, answer, [answer]) == official(answer, answer) == 1
        assert ours(name, answer, [""]) == 0 != official("", answer)
        assert ours(name, "", [answer]) == 0 != official(answer, "")
