"""Labels and the entities that they mark."""

from __future__ import annotations

import random

import pytest

from lm_envs.errors import DataError
from lm_envs.tagging.scheme import Entity, Scheme, entities, from_iob1, types_of

SCHEME = Scheme(("LOC", "PER"))

# labels, entities: a broken I- begins none
CASES = [
    ("", []),
    ("O O O", []),
    ("B-PER O", [("PER", 0, 1)]),
    ("B-PER I-PER I-PER", [("PER", 0, 3)]),
    ("B-PER B-PER", [("PER", 0, 1), ("PER", 1, 2)]),
    ("B-PER I-LOC", [("PER", 0, 1)]),
    ("B-PER I-LOC I-PER", [("PER", 0, 1)]),
    ("I-PER I-PER O", []),
    ("O I-PER B-PER I-PER", [("PER", 2, 4)]),
    ("B-PER O I-PER", [("PER", 0, 1)]),
    ("B-LOC B-PER I-PER O B-LOC", [("LOC", 0, 1), ("PER", 1, 3), ("LOC", 4, 5)]),
]


@pytest.mark.parametrize(("labels", "expected"), CASES)
def test_entities(labels: str, expected: list[tuple[str, int, int]]) -> None:
    assert entities(labels.split()) == [Entity(*item) for item in expected]


def test_labels_and_what_may_follow() -> None:
    assert SCHEME.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    allowed = SCHEME.may_follow
    assert allowed.shape == (6, 5)
    for before, row in zip((*SCHEME.labels, None), allowed, strict=True):
        for label, legal in zip(SCHEME.labels, row, strict=True):
            labels = [label] if before is None else [before, label]
            broken = label[0] == "I" and (before is None or before[1:] != label[1:])
            assert legal == (not broken), labels


def test_check_accepts_what_may_follow_and_names_what_may_not() -> None:
    SCHEME.check(["B-PER", "I-PER", "O", "B-LOC", "B-LOC"], "here")
    with pytest.raises(DataError, match="word 2 of sentence 7 has an unknown label 'B-PRE'. Did you mean 'B-PER'"):
        SCHEME.check(["O", "B-PRE"], "sentence 7")
    with pytest.raises(DataError, match="word 1 of here has the label 'I-PER' at the sentence's start.*B-PER.*iob1"):
        SCHEME.check(["I-PER"], "here")
    with pytest.raises(DataError, match="word 2 of here has the label 'I-PER' after 'B-LOC'"):
        SCHEME.check(["B-LOC", "I-PER"], "here")


def test_types() -> None:
    assert types_of(["O", "B-PER", "I-PER", "B-A-B"], "here") == ["A-B", "PER"]
    for label, remedy in (
        *(("NN", "label_column"), ("B-", "label_column"), ("", "label_column"), ("X-PER", "label_column")),
        *(("S-PER", "BIOES or BILOU"), ("L-PER", "BIOES or BILOU"), ("b-PER", "upper case"), ("o", "upper case")),
    ):
        with pytest.raises(DataError, match=f"here has the label '{label}'; expected 'O', .*{remedy}"):
            types_of(["O", label], "here")


@pytest.mark.parametrize(
    ("iob1", "bio"),
    [
        ("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC"),
        ("I-PER B-PER I-PER", "B-PER B-PER I-PER"),
        ("I-PER I-LOC", "B-PER B-LOC"),
        ("B-PER I-PER O", "B-PER I-PER O"),
    ],
)
def test_iob1(iob1: str, bio: str) -> None:
    assert from_iob1(iob1.split()) == tuple(bio.split())


def test_what_iob1_becomes_is_never_broken() -> None:
    rng = random.Random(0)
    for _ in range(500):
        labels = [rng.choice(["O", "I-PER", "I-LOC", "B-PER"]) for _ in range(8)]
        SCHEME.check(from_iob1(labels), "here")
