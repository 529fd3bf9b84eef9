import dataclasses

import numpy as np
import pytest

from agents.feedback.answers import Answer, Item
from agents.feedback.simulated import SimulatedAnnotator
from agents.feedback.store import FeedbackStore
from lm_envs.errors import ConfigurationError, DataError


def size(completions, **columns):
    """The number of letters, in tenths."""
    return [len(text) / 10 for text in completions]


def pairs(n, *lengths):
    return [Item(f"p{i}", tuple("abcd"[k] * length for k, length in enumerate(lengths))) for i in range(n)]


def test_without_noise_the_higher_reward_is_best_and_equal_ones_tie():
    annotator = SimulatedAnnotator(size, temperature=0.0)
    items = [Item("p", ("a", "bbb", "cc")), Item("p", ("aa", "bb")), Item("q", ("cccc", "d"))]
    assert annotator.answers(items) == [Answer(best=1), Answer(tie=True), Answer(best=0)]


@pytest.mark.parametrize(("difference", "temperature"), [(1, 0.1), (3, 0.2), (0, 0.5)])
def test_choices_follow_bradley_and_terry(difference, temperature):
    """The share of 4,000 items is within four standard deviations of sigmoid((r_a - r_b) / temperature)."""
    answers = SimulatedAnnotator(size, temperature=temperature).answers(pairs(4000, 2 + difference, 2))
    expected = 1 / (1 + np.exp(-difference / 10 / temperature))
    found = np.mean([answer.best == 0 for answer in answers])
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 4000)


def test_choices_among_several_follow_the_softmax():
    answers = SimulatedAnnotator(size, temperature=0.2).answers(pairs(4000, 5, 3, 1))
    found = [np.mean([answer.best == k for answer in answers]) for k in range(3)]
    weights = np.exp(np.array([0.5, 0.3, 0.1]) / 0.2)
    assert found == pytest.approx(weights / weights.sum(), abs=0.035)


def test_ties_follow_rao_and_kupper():
    """Equal rewards tie where a logistic number is at most the margin: tanh(margin / (2 * temperature))."""
    answers = SimulatedAnnotator(size, temperature=0.1, tie_margin=0.1).answers(pairs(4000, 2, 2))
    assert np.mean([answer.tie for answer in answers]) == pytest.approx(np.tanh(0.5), abs=0.032)


def test_answers_depend_on_seed_name_and_item_alone():
    items = pairs(50, 2, 2)
    annotator = SimulatedAnnotator(size, seed=1)
    answers = annotator.answers(items)
    assert annotator.answers(items[::-1])[::-1] == answers
    turned = annotator.answers([Item(item.prompt, item.completions[::-1]) for item in items])
    assert [1 - answer.best for answer in turned] == [answer.best for answer in answers]
    assert dataclasses.replace(annotator, seed=2).answers(items) != answers
    assert dataclasses.replace(annotator, name="other").answers(items) != answers


def test_an_interrupted_annotator_goes_on_with_the_same_answers(tmp_path):
    annotator = SimulatedAnnotator(size, name="sim", rating_range=(0.0, 1.0))
    whole, parts = (FeedbackStore(tmp_path / name) for name in ("whole.sqlite", "parts.sqlite"))
    items = pairs(20, 3, 2)
    whole.add_items(items)
    assert annotator.answer_store(whole) == 20
    for part in (items[:7], items):
        parts.add_items(part)
        annotator.answer_store(parts)
    assert annotator.answer_store(parts) == 0
    assert [given.answer for given in parts.current_answers()] == [given.answer for given in whole.current_answers()]


def test_ratings_divide_the_range_evenly_and_agree_with_the_choice():
    calm = SimulatedAnnotator(size, temperature=0.0, rating_range=(0.1, 0.5))
    assert calm.answers([Item("p", ("a", "aa", "aaaa", "aaaaaaaaa"))])[0].ratings == (1, 2, 4, 5)
    noisy = SimulatedAnnotator(size, temperature=0.2, rating_range=(0.0, 1.0))
    for answer in noisy.answers(pairs(100, 6, 5)):
        assert answer.ratings[answer.best] == max(answer.ratings)
    assert len({answer.ratings for answer in noisy.answers(pairs(100, 6, 5))}) > 5


def test_edits_improve_the_best_completion():
    def shout(prompt, completion):
        return completion.upper()

    annotator = SimulatedAnnotator(size, temperature=0.0, rewrite=shout)
    answers = annotator.answers([Item("p", ("a", "bb")), Item("p", ("A", "BB"))])
    assert answers == [Answer(best=1, edited=1, edit="BB"), Answer(best=1)]


def test_the_reward_is_called_once():
    calls = []

    def counted(completions, **columns):
        calls.append(len(completions))
        return [0.0 for _ in completions]

    SimulatedAnnotator(counted).answers(pairs(5, 1, 2, 3))
    assert calls == [15]


def test_a_broken_reward_writes_nothing(tmp_path):
    store = FeedbackStore(tmp_path / "answers.sqlite")
    store.add_items(pairs(2, 1, 2))
    with pytest.raises(DataError, match="from 0 to 1"):
        store.add_answers("ann", [(1, Answer(best=0)), (2, Answer(best=5))])
    assert store.history() == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"temperature": -1}, ConfigurationError, "temperature has to be a finite number of at least 0; got -1"),
        ({"tie_margin": float("nan")}, ConfigurationError, "tie_margin has to be"),
        ({"rating_range": (1, 1)}, ConfigurationError, "rating_range has to be a lower and a higher reward"),
        ({"name": " "}, DataError, "an annotator needs a name"),
    ],
)
def test_arguments_that_cannot_work(arguments, error, message):
    with pytest.raises(error, match=message):
        SimulatedAnnotator(size, **arguments)
