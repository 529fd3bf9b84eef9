import numpy as np
import pytest

from agents.feedback.agreement import Counts, agreement_of, krippendorff_alpha
from agents.feedback.answers import Answer, GivenAnswer, Item
from lm_envs.errors import ConfigurationError

# Four observers, twelve units: Krippendorff 2011, section D.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 * * *",
    "1 2 3 3 2 2 4 1 2 5 * 3",
    "* 3 3 3 2 3 4 2 2 5 1 *",
    "1 2 3 3 2 4 4 1 2 5 1 *",
)
UNITS = [[int(value) for value in unit if value != "*"] for unit in zip(*map(str.split, OBSERVERS), strict=True)]
ITEM = Item("p", ("a", "b"))


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(level, published):
    assert krippendorff_alpha(UNITS, level) == pytest.approx(published, abs=5e-4)


def test_alpha_of_two_observers_and_names():
    """Krippendorff 2011, section B: nominal data of two observers without missing values."""
    first, second = "a a b b d c c c e d d a", "b a b b b c c c e d d d"
    units = [list(pair) for pair in zip(first.split(), second.split(), strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.692, abs=5e-4)


def test_alpha_at_its_ends():
    assert krippendorff_alpha([[1, 1], [2, 2, 2], [1]]) == 1.0
    assert krippendorff_alpha([[1, 1], [1, 1]]) is None
    assert krippendorff_alpha([[1], [2]]) is None
    assert krippendorff_alpha([]) is None
    rng = np.random.default_rng(0)
    assert krippendorff_alpha(rng.integers(0, 3, (3000, 2)).tolist()) == pytest.approx(0.0, abs=0.05)
    assert krippendorff_alpha([[0, 1], [1, 0], [0, 1]]) < 0


def test_alpha_needs_a_level_that_there_is():
    with pytest.raises(ConfigurationError, match="level has to be one of nominal, ordinal, interval; got 'ratio'"):
        krippendorff_alpha([[1, 2]], "ratio")


def given_answers(**of_each):
    numbered = [(name, item_id, answer) for name, own in of_each.items() for item_id, answer in own.items()]
    return [GivenAnswer(i, item_id, ITEM, name, answer, 0.0) for i, (name, item_id, answer) in enumerate(numbered)]


def test_agreement_counts_and_compares():
    ann = {1: Answer(best=0, ratings=(5, 1)), 2: Answer(tie=True, flag=""), 3: Answer(best=1), 4: Answer(skip=True)}
    bob = {1: Answer(best=0, ratings=(4, 2)), 2: Answer(best=1), 4: Answer(edited=0, edit="x"), 5: Answer(best=0)}
    found = agreement_of(given_answers(bob=bob, ann=ann, cid={9: Answer(best=1)}))
    assert found.counts["ann"] == Counts(items=4, choices=2, ties=1, ratings=2, edits=0, flags=1, skips=1)
    assert found.counts["bob"] == Counts(items=4, choices=3, ties=0, ratings=2, edits=1, flags=0, skips=0)
    assert [(pair.annotators, pair.items, pair.agreement) for pair in found.pairs] == [
        (("ann", "bob"), 2, 0.5),
        (("ann", "cid"), 0, None),
        (("bob", "cid"), 0, None),
    ]
    assert found.choices_alpha == pytest.approx(krippendorff_alpha([[0, 0], [-1, 1]]))
    assert found.ratings_alpha == pytest.approx(krippendorff_alpha([[5, 4], [1, 2]], "ordinal"))
    assert found.ratings_alpha_interval == pytest.approx(krippendorff_alpha([[5, 4], [1, 2]], "interval"))


def test_agreement_of_nobody():
    found = agreement_of([])
    assert (found.counts, found.pairs, found.choices_alpha) == ({}, [], None)
