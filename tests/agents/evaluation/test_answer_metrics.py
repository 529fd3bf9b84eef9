from __future__ import annotations

from typing import Any

import pytest

from agents.evaluation.answer_metrics import answer_metrics
from agents.evaluation.generation import Completion
from lm_envs.rewards import get

COLOURS = ["red", "green", "blue"]


def answered(
    answer: str, reference: list[str], choices: list[str] | None = None, stop_reason: str = "eos", **outcome: Any
) -> Completion:
    """A question that was answered."""
    told = {"answer": answer, "reference": reference, "choices": choices or [], "answerable": True, **outcome}
    return Completion("Q:", f" {answer}", {"r": 0.0}, stop_reason, 1, 0, outcome=told)


def _values(completions):
    return {name: metric.value for name, metric in answer_metrics(completions).items()}


def test_squad_with_the_best_of_several_answers():
    found = _values(
        [
            answered("The Lamp!", ["a lamp", "light"]),  # 1, 1
            answered("red lamp", ["lamp", "a big red lamp stand"]),  # 0, 2 * 1 * 0.5 / 1.5 = 2/3
            answered("", ["lamp"]),  # 0, 0
        ]
    )
    assert found == pytest.approx({"exact_match": 1 / 3, "f1": (1 + 2 / 3) / 3, "answered": 2 / 3})


@pytest.mark.parametrize("silence", ["", "unknown"])
def test_squad_2_splits_questions_with_and_without_an_answer(silence):
    found = _values(
        [
            answered("lamp", ["lamp"]),
            answered("red lamp", ["lamp"]),
            answered(silence, ["lamp"]),
            answered(silence, [silence], answerable=False),
            answered("lamp", [silence], answerable=False),
        ]
    )
    assert found["has_ans_exact_match"] == pytest.approx(1 / 3) and found["has_ans_f1"] == pytest.approx(
        (1 + 2 / 3) / 3
    )
    assert found["no_ans_exact_match"] == found["no_ans_f1"] == 0.5
    assert found["exact_match"] == pytest.approx(2 / 5)


def test_a_split_of_one_kind_is_none():
    assert set(_values([answered("x", ["unknown"], answerable=False)])) == {"exact_match", "f1", "answered"}


def test_numbers_are_compared_as_numbers():
    found = _values([answered("1,000", ["1000"]), answered("0.5", ["1/2"]), answered("no", ["3"])])
    assert found["numeric_match"] == pytest.approx(2 / 3) and found["exact_match"] == pytest.approx(1 / 3)
    assert "numeric_match" not in _values([answered("1", ["1"]), answered("two", ["two"])])


def test_choices_of_a_classification():
    # red: gold 2, predicted 1, right 1; green: gold 1, predicted 2, right 1; blue: gold 1, never predicted
    found = _values(
        [
            answered("red", ["red"], COLOURS),
            answered("B", ["red"], COLOURS),
            answered("Green.", ["green"], COLOURS),
            answered("no idea", ["blue"], COLOURS),
        ]
    )
    assert found == pytest.approx({"accuracy": 0.5, "macro_f1": (2 / 3 + 2 / 3 + 0) / 3, "answered": 1.0})


def test_labels_that_do_not_occur_are_no_part_of_the_macro_average():
    assert _values([answered("red", ["red"], COLOURS)])["macro_f1"] == 1.0


def test_choices_that_differ_have_no_labels_to_average():
    found = _values([answered("3", ["3"], ["3", "4"], "choice"), answered("", ["5"], ["5", "6"], "choice")])
    assert found == {"accuracy": 0.5}


def test_a_verifiers_score():
    found = _values([answered("12", ["12"], score=1.0), answered("11", ["12"], score=0.25)])
    assert found == {"score": 0.625, "answered": 1.0}


@pytest.mark.parametrize(
    ("metric", "reward"), [("exact_match", "exact_match"), ("f1", "token_f1"), ("accuracy", "choice_accuracy")]
)
@pytest.mark.parametrize("answer", ["red", " a Red lamp ", "A", "", "blue or red"])
def test_evaluation_and_reward_agree(metric, reward, answer):
    choices = COLOURS if metric == "accuracy" else None
    item = answered(answer, ["red"], choices)
    paid = get(reward)(prompts=["Q:"], completions=[item.completion], **{k: [v] for k, v in item.outcome.items()},
                       extracted=[answer])  # fmt: skip
    assert [_values([item])[metric]] == paid
