from __future__ import annotations

import numpy as np
import pytest

from agents.evaluation.generation import Completion
from agents.evaluation.overlap_metrics import overlap_metrics
from lm_envs.rewards import get

pytest.importorskip("sacrebleu")
pytest.importorskip("rouge_score")


def written(completion: str, reference: str | list[str] | None) -> Completion:
    """A text that has a reference."""
    told = {} if reference is None else {"reference": reference}
    return Completion("p", completion, {"r": 0.0}, "eos", 3, 0, outcome=told)


PAIRS = [
    ("the cat sat on the mat", ["the cat sat on a mat"]),
    ("a dog ran in the big park", ["the dog ran in the park", "a dog ran through the big park today"]),
    ("", ["something is missing"]),
    ("si", ["el perro está en el parque"]),
]


def _values(pairs):
    return {name: metric.value for name, metric in overlap_metrics([written(*pair) for pair in pairs]).items()}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("first", [0, 1])
def test_chrf_and_bleu_are_sacrebleus_of_the_whole_corpus(n, first):
    from sacrebleu.metrics import BLEU, CHRF

    pairs = PAIRS[first : first + n]
    texts = [text for text, _ in pairs]
    columns = [[golds[k] if k < len(golds) else None for _, golds in pairs] for k in range(2)]
    found = _values(pairs)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(texts, columns).score / 100)
    assert found["bleu"] == pytest.approx(BLEU().corpus_score(texts, columns).score / 100)


def test_orders_without_a_match_are_smoothed_as_sacrebleu_does():
    from sacrebleu.metrics import BLEU

    text, gold = "the cat is on a small mat", "a cat sat on the small mat"
    assert 0 < _values([(text, gold)])["bleu"] == pytest.approx(BLEU().corpus_score([text], [[gold]]).score / 100)


def test_rouge_by_hand():
    # of 6 and 6 words 5 are shared; 3 of 5 and 5 pairs; the subsequence has 5
    found = _values(PAIRS[:1])
    assert found["rouge1"] == found["rougeL"] == pytest.approx(5 / 6)
    assert found["rouge2"] == pytest.approx(3 / 5)
    both = _values([*PAIRS[:1], PAIRS[2]])
    assert both["rougeL"] == pytest.approx(5 / 12)  # the mean over texts


@pytest.mark.parametrize("reward", ["rouge1", "rouge2", "rougeL", "chrf"])
@pytest.mark.parametrize("pair", PAIRS)
def test_of_one_text_they_are_what_the_reward_pays(reward, pair):
    paid = get(reward)(prompts=["p"], completions=[pair[0]], reference=[pair[1]])
    assert [_values([pair])[reward]] == pytest.approx(paid)


def test_texts_without_reference_do_not_count():
    assert _values([*PAIRS[:2], ("anything", None), ("at all", [])]) == _values(PAIRS[:2])
    assert _values([("anything", None)]) == {}


def test_equal_texts():
    found = _values([("one two three four five", "one two three four five")] * 2)
    assert found == pytest.approx(dict.fromkeys(("rouge1", "rouge2", "rougeL", "chrf", "bleu"), 1.0))


def test_combining_works_on_many_resamples_at_once():
    metrics = overlap_metrics([written(*pair) for pair in PAIRS])
    for metric in metrics.values():
        sums = np.stack([metric.statistics.sum(axis=0), metric.statistics[:2].sum(axis=0)])
        assert metric.combine(sums) == pytest.approx([float(metric.combine(row)) for row in sums])


def test_without_the_packages_there_are_no_metrics(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert _values(PAIRS) == {}
