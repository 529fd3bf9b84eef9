from __future__ import annotations

import numpy as np
import pytest

from agents.evaluation.entity_metrics import MEASURES, entity_metrics, entity_report
from agents.evaluation.estimates import estimates
from agents.evaluation.generation import Completion
from lm_envs.tagging.scores import entity_scores


def tagged(gold: str, labels: str) -> Completion:
    """A sentence that was tagged."""
    there, found = gold.split(), labels.split()
    told = {"words": ["w"] * len(there), "labels": found, "gold": there}
    return Completion("w", labels, {"r": 0.0}, "labelled", len(there), 0, outcome=told)


# the example of seqeval's README
README = [
    tagged("O O O B-MISC I-MISC I-MISC O", "O O B-MISC I-MISC I-MISC I-MISC O"),
    tagged("B-PER I-PER O", "B-PER I-PER O"),
]


def _values(metrics):
    return {name: metric.value for name, metric in metrics.items()}


def _means(row):
    return [getattr(row, name).mean for name in MEASURES]


def test_the_documented_example_of_seqeval():
    expected = {"token_accuracy": 0.8, "entity_precision": 0.5, "entity_recall": 0.5, "entity_f1": 0.5}
    assert _values(entity_metrics(README)) == pytest.approx(expected)
    report = entity_report(README)
    assert list(report) == ["MISC", "PER", "micro_avg", "macro_avg", "weighted_avg"]
    assert [row.support for row in report.values()] == [1, 1, 2, 2, 2]
    assert _means(report["MISC"]) == [0, 0, 0] and _means(report["PER"]) == [1, 1, 1]
    for name in ("micro_avg", "macro_avg", "weighted_avg"):
        assert _means(report[name]) == pytest.approx([0.5, 0.5, 0.5])


def test_an_inside_label_begins_no_entity_as_in_seqevals_strict_mode():
    assert _means(entity_report([tagged("B-NP I-NP O", "I-NP I-NP O")])["NP"]) == [0, 0, 0]


def test_a_table_by_hand():
    episodes = [
        tagged("B-A O B-A", "B-A O B-B"),  # A: 1 right of 1 of 2; B: 0 of 1 of 0
        tagged("B-B I-B O", "B-B I-B B-A"),  # B: 1 of 1 of 1; A: 0 of 1 of 0
        tagged("B-A", "B-A"),  # A: 1 of 1 of 1
    ]
    report = entity_report(episodes)
    assert _means(report["A"]) == pytest.approx([2 / 3, 2 / 3, 2 / 3]) and report["A"].support == 3
    assert _means(report["B"]) == pytest.approx([1 / 2, 1, 2 / 3]) and report["B"].support == 1
    assert _means(report["micro_avg"]) == pytest.approx([3 / 5, 3 / 4, 6 / 9])
    assert _means(report["macro_avg"]) == pytest.approx([7 / 12, 5 / 6, 2 / 3])
    assert _means(report["weighted_avg"]) == pytest.approx([(3 * 2 / 3 + 1 / 2) / 4, (3 * 2 / 3 + 1) / 4, 2 / 3])
    of_sentences = [_values(entity_metrics([item]))["entity_f1"] for item in episodes]
    assert _values(entity_metrics(episodes))["entity_f1"] != pytest.approx(np.mean(of_sentences))


def test_they_are_those_of_the_rewards_counting():
    rng = np.random.default_rng(0)
    names = ["O", "B-A", "I-A", "B-B", "I-B"]
    episodes = [tagged(*(" ".join(rng.choice(names, 8)) for _ in range(2))) for _ in range(30)]
    gold, found = ([item.outcome[key] for item in episodes] for key in ("gold", "labels"))
    report = entity_report(episodes)
    for kind, score in entity_scores(gold, found).items():
        row = report["micro_avg" if kind == "all" else kind]
        assert _means(row) == pytest.approx([score.precision, score.recall, score.f1]) and row.support == score.gold
    interval = report["micro_avg"].f1
    assert interval == estimates(entity_metrics(episodes))["entity_f1"]
    assert interval.low < interval.mean < interval.high


def test_sentences_without_entities():
    nothing = [tagged("O O", "O O"), tagged("O", "O")]
    report = entity_report(nothing)
    assert list(report) == ["micro_avg", "macro_avg", "weighted_avg"]
    assert all(_means(row) == [0, 0, 0] and row.support == 0 for row in report.values())
    assert _values(entity_metrics(nothing)) == {
        "token_accuracy": 1, "entity_precision": 0, "entity_recall": 0, "entity_f1": 0,
    }  # fmt: skip


def test_one_sentence_has_an_interval_without_width():
    row = entity_report(README[1:])["PER"]
    assert row.to_dict()["f1"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
