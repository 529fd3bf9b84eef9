"""Passages with questions."""

import numpy as np
import pytest

from lm_envs.world import check_passage, check_question, passage_items
from lm_envs.world.passages import UNKNOWN, generate


def passages(seed, n=100):
    rng = np.random.default_rng(seed)
    return [generate(rng) for _ in range(n)]


@pytest.mark.parametrize("seed", range(5))
def test_passages_and_questions_are_accepted(seed):
    for passage in passages(seed):
        assert check_passage(passage.text).complete, passage.text
        assert check_question(passage.question.text).ok, passage.question


def test_every_cut_passage_is_accepted():
    for passage in passages(1, n=8):
        for end in range(1, len(passage.text)):
            if not passage.text[:end].endswith(" "):
                assert check_passage(passage.text[:end]).ok, passage.text[:end]


def test_the_support_holds_the_answer_and_the_person():
    for passage in passages(2, n=300):
        question = passage.question
        if question.answerable:
            assert question.answer in question.support == question.sentence
            assert question.support in passage.text
            (fact,) = [f for f in passage.facts if f.sentence == question.support]
            assert fact.person in question.text
            assert question.answer in fact.slots.values()
        else:
            assert question.answer == UNKNOWN and not question.support and question.sentence == "unknown."


def test_a_quarter_of_the_questions_has_no_answer():
    share = np.mean([not passage.question.answerable for passage in passages(4, n=1000)])
    assert 0.2 < share < 0.3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("She is a teacher.", "pronoun without a person"),
        ("Anna is a teacher. He lives in Oakton.", "pronoun without a person"),
        ("Anna is an teacher.", "wrong article"),
        ("Anna is teacher a.", "sentence 1 states no fact"),
        ("Anna is a teacher. She is a teacher. She is a teacher.", "sentence 3 repeats"),
        ("Anna is a teacher. I love the lamp.", "sentence 2 states no fact"),
    ],
)
def test_wrong_passages_are_refused(text, reason):
    report = check_passage(text)
    assert not report.ok and reason in report.reason


@pytest.mark.parametrize(
    "text", ["", "Where does Anna live", "Where Anna lives?", "Anna is a teacher.", "where does Anna live?"]
)
def test_wrong_questions_are_refused(text):
    assert not check_question(text).ok


def test_splits_are_disjoint():
    prompts = {split: {p.prompt for p in passage_items(split)} for split in ("train", "validation", "test")}
    assert [len(p) for p in prompts.values()] == [4096, 512, 512]
    assert not prompts["train"] & prompts["test"]
    assert not prompts["train"] & prompts["validation"]
    assert not prompts["validation"] & prompts["test"]
