"""The shipped model: its card tells the truth, and it writes what the environments expect."""

import pytest

from lm_envs.pretraining.__main__ import DEFAULT_OUT
from lm_envs.pretraining.card import perplexity_in_card
from lm_envs.pretraining.evaluation import perplexities, sample_report, share_right
from lm_envs.world import review_prompts
from lm_envs.world.corpus import DOMAINS


@pytest.fixture(scope="module")
def tiny():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(DEFAULT_OUT), AutoTokenizer.from_pretrained(DEFAULT_OUT)


@pytest.fixture(scope="module")
def card():
    return (DEFAULT_OUT / "README.md").read_text(encoding="utf-8")


def test_perplexities_equal_the_card(tiny, card):
    measured = perplexities(*tiny)
    assert set(measured) == {*DOMAINS, "overall"}
    for domain, value in measured.items():
        assert value == pytest.approx(perplexity_in_card(card, domain), rel=0.01)


def test_samples_are_grammatical_varied_and_balanced(tiny):
    report = sample_report(*tiny, n_prompts=40)
    assert report.grammatical >= 0.8, report.failures
    assert report.distinct_sentences > 0.8
    assert 0.3 < report.sentiment < 0.7
    assert report.ended > 0


@pytest.mark.parametrize(("domain", "least"), [("passages", 0.3), ("headlines", 0.25), ("translations", 0.35)])
def test_it_answers_sums_up_and_translates(tiny, domain, least):
    assert share_right(*tiny, domain, n_prompts=30) >= least


def test_size(tiny):
    model, _ = tiny
    assert model.num_parameters() <= 2_000_000
    assert sum(file.stat().st_size for file in DEFAULT_OUT.iterdir()) <= 8_000_000


def test_prompts_are_short(tiny):
    _, tokenizer = tiny
    prompts = review_prompts("test")
    lengths = [len(ids) for ids in tokenizer(prompts)["input_ids"]]
    assert max(lengths) <= 26
    assert sum(lengths) / sum(len(prompt.split()) for prompt in prompts) < 1.35


def test_a_card_without_the_line_is_reported():
    with pytest.raises(ValueError, match="expected a line for 'overall'"):
        perplexity_in_card("# tiny")
