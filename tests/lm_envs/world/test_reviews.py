"""Reviews: what is written passes the check, and what is damaged does not."""

import time

import numpy as np
import pytest

from lm_envs.errors import UnknownNameError
from lm_envs.world import check_review, review_prompts
from lm_envs.world.reviews import category_of, generate, product_grammar, product_of
from lm_envs.world.words.products import CATEGORIES, PRODUCTS

PROMPT = "I bought this lamp last week."
SPLITS = ("train", "validation", "test")


def reviews(seed, n=100, split="train"):
    rng = np.random.default_rng(seed)
    return [generate(rng, split) for _ in range(n)]


@pytest.mark.parametrize("seed", range(8))
def test_every_review_is_accepted_as_complete(seed):
    for review in reviews(seed):
        report = check_review(review.prompt, review.completion)
        assert report.ok and report.complete and not report.reason, (review.text, report)


def test_every_cut_review_is_accepted():
    for review in reviews(1, n=12):
        for end in range(2, len(review.completion)):
            if not review.completion[:end].endswith(" "):
                assert check_review(review.prompt, review.completion[:end]).ok, review.completion[:end]


def test_a_cut_review_is_not_complete():
    assert not check_review(PROMPT, " I love the sha").complete
    assert check_review(PROMPT, " I love the shade.").complete


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        ("", "empty"),
        (" ", "empty"),
        (" I love the zipper.", "sentence 2 is not one about the lamp"),
        (" It tastes delicious.", "sentence 2 is not one about the lamp"),
        (" I love the kettle.", "sentence 2 is not one about the lamp"),
        (" The shade are beautiful.", "sentence 2 is not one about the lamp"),
        (" They are beautiful.", "sentence 2 is not one about the lamp"),
        (" The shade is is beautiful.", "sentence 2 is not one about the lamp"),
        (" The shade beautiful is.", "sentence 2 is not one about the lamp"),
        (" The shade is beautiful. Good good good.", "sentence 3 is not one about the lamp"),
        (" I love it. It works well. I love it.", "sentence 4 repeats"),
        (" I love the PRODUCT.", "sentence 2 is not one about the lamp"),
        (" I love the P", "sentence 2 is not one about the lamp"),
        (" i love it.", "no capital"),
        (" It is an great lamp.", "wrong article"),
        (" I love it .", "wrong spaces"),
        ("I love it.", "wrong spaces"),
        (" I love it.\n", "unexpected character|wrong spaces"),
        (" xqzt wvu", "not one about|no capital"),
        (" The", ""),
        (" P", ""),
        (" I love the la", ""),
    ],
)
def test_damaged_completions_are_refused_with_a_reason(completion, reason):
    report = check_review(PROMPT, completion)
    if not reason:
        assert report.ok
    else:
        assert not report.ok
        assert any(part in report.reason for part in reason.split("|")), report.reason


def test_a_prompt_without_a_product_is_refused():
    assert "no known product" in check_review("It was a nice day.", " I love it.").reason


def test_swapping_two_words_is_nearly_always_refused():
    rng = np.random.default_rng(3)
    refused = tried = 0
    for review in reviews(3):
        words = review.completion.split(" ")
        first = int(rng.integers(1, len(words) - 1))
        words[first], words[first + 1] = words[first + 1], words[first]
        if words != review.completion.split(" "):
            tried += 1
            refused += not check_review(review.prompt, " ".join(words)).ok
    assert refused >= 0.97 * tried


def test_the_aspect_of_another_category_is_always_refused():
    rng = np.random.default_rng(4)
    for _ in range(200):
        product, other = rng.choice(PRODUCTS, size=2, replace=False)
        aspects = {n for s, p in category_of(other).aspects.values() for n in (*s, *p)}
        foreign = sorted(aspects - product_grammar(str(product)).grammar.words())
        for aspect in foreign[:2]:
            assert not check_review(f"I visited the {product} yesterday.", f" I also looked at the {aspect}.").ok


@pytest.mark.parametrize("split", SPLITS)
def test_prompts_are_many_and_name_a_product(split):
    prompts = review_prompts(split)
    assert len(prompts) == len(set(prompts)) == {"train": 4096, "validation": 512, "test": 512}[split]
    assert all(product_of(prompt) for prompt in prompts)
    assert max(len(prompt.split()) for prompt in prompts) <= 24


def test_splits_are_disjoint_and_generated_prompts_stay_in_them():
    prompts = {split: set(review_prompts(split)) for split in SPLITS}
    assert not prompts["train"] & prompts["test"]
    assert not prompts["train"] & prompts["validation"]
    assert not prompts["validation"] & prompts["test"]
    written = {review.prompt for review in reviews(5, n=300)}
    assert not written & (prompts["test"] | prompts["validation"])


def test_prompts_are_the_same_in_every_call():
    first = review_prompts("test")
    first.append("changed by the caller")
    assert review_prompts("test") == first[:-1]
    assert first[:2] == [
        "We needed some chocolate for my trip.",
        "My colleagues use these curtains all the time.",
    ]


def test_same_seed_same_reviews():
    assert reviews(7, n=20) == reviews(7, n=20) != reviews(8, n=20)


def test_unknown_split():
    with pytest.raises(UnknownNameError, match="unknown split 'tests'. Did you mean 'test'"):
        review_prompts("tests")


def test_sentiment_is_balanced_and_not_told_by_the_prompt():
    analyzer = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()

    def score(text):
        return (analyzer.polarity_scores(text)["compound"] + 1) / 2

    written = reviews(9, n=600)
    scores = {m: np.mean([score(r.completion) for r in written if r.mood == m]) for m in ("good", "bad", "mixed")}
    assert 0.43 < np.mean([score(r.completion) for r in written]) < 0.54
    assert scores["good"] > 0.75 and scores["bad"] < 0.3
    prompts = [score(r.prompt) for r in written]
    assert 0.45 < np.mean(prompts) < 0.6
    assert abs(np.corrcoef(prompts, [r.positive for r in written])[0, 1]) < 0.12


def test_a_very_positive_short_completion_is_grammatical():
    analyzer = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    completion = " I absolutely love it. The shade is beautiful and the light is wonderful.".replace("light", "design")
    completion += " It is a real joy."
    assert check_review(PROMPT, completion).complete
    assert (analyzer.polarity_scores(completion)["compound"] + 1) / 2 > 0.95


def test_reviews_vary():
    written = reviews(10, n=400)
    sentences = [s for r in written for s in r.completion.strip().split(". ")]
    assert len(set(sentences)) > 0.8 * len(sentences)
    assert len({r.product for r in written}) > 120
    assert len({word.lower().strip(".,!") for r in written for word in r.text.split()}) > 800


def test_the_catalogue_is_large_and_has_no_product_twice():
    names = [product for c in CATEGORIES for product in (*c.singular, *c.plural)]
    assert len(names) == len(set(names)) >= 120


def test_checking_is_fast():
    written = reviews(11, n=200)
    for review in written:
        check_review(review.prompt, review.completion)
    started = time.perf_counter()
    for review in written:
        check_review(review.prompt, review.completion)
    assert (time.perf_counter() - started) / len(written) < 1e-3
