"""Precision, recall and F1 of entities."""

from __future__ import annotations

import random

import pytest

from lm_envs.errors import ConfigurationError
from lm_envs.tagging.scores import EntityScore, entity_scores

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]

# gold, predicted, right, number predicted, number gold; computed by hand
CASES = [
    ("B-PER I-PER O", "B-PER I-PER O", 1, 1, 1),
    ("B-PER I-PER O", "B-PER O O", 0, 1, 1),  # an end is wrong
    ("B-PER I-PER O", "B-LOC I-LOC O", 0, 1, 1),  # the type is wrong
    ("B-PER O B-LOC", "B-PER B-LOC B-LOC", 2, 3, 2),
    ("B-PER O B-LOC", "O O O", 0, 0, 2),
    ("O O O", "O O O", 0, 0, 0),
    ("O O O", "B-PER O O", 0, 1, 0),
    ("B-PER B-PER", "B-PER I-PER", 0, 1, 2),
    ("O B-PER", "O I-PER", 0, 0, 1),  # broken: no entity
    ("B-PER O", "B-PER I-LOC", 1, 1, 1),
    ("O B-PER I-PER", "B-PER I-PER I-PER", 0, 1, 1),  # begins too early
    ("B-PER I-PER I-PER", "B-PER I-PER B-PER", 0, 2, 1),  # one entity in two
    ("B-PER I-PER B-PER", "B-PER I-PER I-PER", 0, 1, 2),  # two adjacent entities in one
    ("B-PER B-LOC", "B-PER B-LOC", 2, 2, 2),  # adjacent, of different types
    ("B-PER I-PER", "I-PER I-PER", 0, 0, 1),  # all I-: seqeval's default mode would find it
    ("B-PER I-PER", "B-PER I-LOC", 0, 1, 1),  # another type inside ends the entity
    ("B-PER I-PER O", "I-LOC I-PER O", 0, 0, 1),
]


@pytest.mark.parametrize(("gold", "predicted", "right", "n_predicted", "n_gold"), CASES)
def test_hand_computed(gold: str, predicted: str, right: int, n_predicted: int, n_gold: int) -> None:
    score = entity_scores([gold.split()], [predicted.split()])["all"]
    assert score == EntityScore(right, n_predicted, n_gold)
    assert score.precision == (right / n_predicted if n_predicted else 0)
    assert score.recall == (right / n_gold if n_gold else 0)
    harmonic = 2 * score.precision * score.recall / (score.precision + score.recall) if right else 0
    assert score.f1 == pytest.approx(harmonic)


def test_each_type_and_all_together() -> None:
    gold = ["B-PER O B-LOC I-LOC", "B-PER"]
    predicted = ["B-PER O B-LOC O", "B-LOC"]
    scores = entity_scores([text.split() for text in gold], [text.split() for text in predicted])
    assert scores == {"LOC": EntityScore(0, 2, 1), "PER": EntityScore(1, 1, 2), "all": EntityScore(1, 3, 3)}


def test_numbers_that_differ() -> None:
    with pytest.raises(ConfigurationError, match="expected labels for 2 sentences, got 1"):
        entity_scores([["O"], ["O"]], [["O"]])
    with pytest.raises(ConfigurationError, match="sentence 1 has 2 gold labels and 1 predicted"):
        entity_scores([["O"], ["O", "O"]], [["O"], ["O"]])


@pytest.mark.filterwarnings("ignore")  # seqeval warns about types that nobody predicted
def test_equals_seqeval() -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    scheme = pytest.importorskip("seqeval.scheme").IOB2
    rng = random.Random(0)
    for _ in range(300):
        lengths = [rng.randint(1, 7) for _ in range(3)]
        gold, predicted = ([[rng.choice(LABELS) for _ in range(n)] for n in lengths] for _ in range(2))
        ours = entity_scores(gold, predicted)["all"]
        for name, value in (("precision", ours.precision), ("recall", ours.recall), ("f1", ours.f1)):
            theirs = getattr(metrics, f"{name}_score")(gold, predicted, mode="strict", scheme=scheme, zero_division=0)
            assert value == pytest.approx(theirs), (name, gold, predicted)
