"""The keywords task."""

import numpy as np
import pytest

from lm_envs.world import check_keywords_text, keyword_coverage, keyword_prompt, keyword_sets
from lm_envs.world.keywords import generate
from lm_envs.world.words.products import PRODUCTS


@pytest.mark.parametrize("seed", range(4))
def test_the_text_of_a_set_is_accepted(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        words, text = generate(rng)
        assert check_keywords_text(words, " " + text).complete, (words, text)
        assert keyword_coverage(words, text) == 1.0


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_sets_have_two_to_four_words_and_a_product_first(split):
    sets = keyword_sets(split)
    assert len(sets) == {"train": 4096, "validation": 512, "test": 512}[split]
    assert all(2 <= len(words) <= 4 and len(set(words)) == len(words) for words in sets)
    assert all(words[0] in PRODUCTS for words in sets)


def test_splits_are_disjoint():
    sets = {split: set(map(tuple, keyword_sets(split))) for split in ("train", "validation", "test")}
    assert not sets["train"] & sets["test"]
    assert not sets["train"] & sets["validation"]
    assert not sets["validation"] & sets["test"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" I love the lamp.", "missing keywords: shade"),
        (" The shade is good good.", "sentence 1 is not one about the lamp"),
        (" Lamp shade.", "sentence 1 is not one about the lamp"),
        (" The shade is good. The lamp is good. The shade is good.", "sentence 3 repeats"),
    ],
)
def test_wrong_texts_are_refused(text, reason):
    report = check_keywords_text(["lamp", "shade"], text)
    assert not report.ok and reason in report.reason


def test_a_set_without_product_is_refused():
    assert "no product" in check_keywords_text(["shade"], " I love it.").reason


def test_prompt_and_coverage():
    assert keyword_prompt(["lamp", "shade"]) == "Write about: lamp, shade."
    assert keyword_coverage(["lamp", "shade"], " Lamp? Sunshade.") == 0.5
    assert keyword_coverage(["lamp"], " 😀 lamp") == 1.0
