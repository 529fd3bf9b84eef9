from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from agents.cli.display import entity_table, episode, evaluation_table, evaluation_title, print_evaluation
from agents.cli.metric_table import estimate_texts, markdown, metric_names, number


def _estimate(mean: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"mean": mean, "low": low, "high": high}


HALF, LESS, GAIN = _estimate(0.5, 0.25, 0.75), _estimate(0.25, 0.0, 0.4), _estimate(0.25, -0.05, 0.5)
TYPE = {"precision": HALF, "recall": _estimate(1.0, 1.0, 1.0), "f1": _estimate(0.667, 0.4, 0.9), "support": 12}
METRICS = ("reward", "reward/entity_f1", "success", "entity_precision", "entity_f1", "length")
COLUMNS: dict[str, dict[str, Any]] = {
    "untrained": {"metrics": dict.fromkeys(METRICS, LESS), "entities": {"PER": TYPE, "[red]": TYPE, "micro_avg": TYPE}},
    "trained": {"metrics": dict.fromkeys(METRICS, HALF), "difference": dict.fromkeys(METRICS, GAIN),
                "entities": {"PER": TYPE, "micro_avg": TYPE}},
}  # fmt: skip


def _printed(thing: Any, width: int, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    console.print(thing(console))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [48, 60, 80, 120])
def test_tables_fit_and_lose_no_number(width: int) -> None:
    text = _printed(lambda c: evaluation_table(c, COLUMNS), width)
    assert all(len(line) <= width for line in text.splitlines()) and "…" not in text
    assert width < 60 or text.count("[0.250, 0.750]") == text.count("[0.000, 0.400]") == 6
    assert (text.count("[-0.050, +0.500]") == 6) is (width >= 80)
    assert "difference" not in text or text.count("+0.250") == 6


@pytest.mark.parametrize("width", [48, 60, 80, 120])
def test_the_report_of_entities_fits(width: int) -> None:
    text = _printed(lambda c: entity_table(c, COLUMNS), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "PER" in text and "[red]" in text and "12" in text and text.count("0.667") == 5
    assert (text.count("0.500 1.000 0.667") == 5) is (width >= 80)
    assert (text.count("[0.400, 0.900]") == 5) is (width >= 120)
    row = next(line for line in text.splitlines() if "[red]" in line)
    assert row.rstrip(" │").endswith("-")  # the trained model has no such type


def test_a_difference_is_bold_where_it_is_sure() -> None:
    shown = {"a": {"metrics": {"x": LESS, "y": LESS}}, "b": {"metrics": {"x": HALF, "y": HALF}}}
    shown["b"]["difference"] = {"x": GAIN, "y": _estimate(0.25, 0.1, 0.4)}
    unsure, sure = (
        line for line in _printed(lambda c: evaluation_table(c, shown), 120, True).splitlines() if "+" in line
    )
    assert "\x1b[1m+0.250" in sure and "\x1b[1m+0.250" not in unsure


def test_titles_name_what_was_evaluated_and_are_no_emoji() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_evaluation(console, "ag:a: 4 questions", {"model": {"metrics": {"f1": HALF}}})
    assert "ag:a: 4 questions" in console.file.getvalue()  # type: ignore[attr-defined]
    for metric, what in (("turns", "conversations"), ("entity_f1", "sentences"), ("accuracy", "questions")):
        title = evaluation_title({"metrics": {metric: HALF}, "n_prompts": 3, "split": "test"}, greedy=True)
        assert title == f"3 {what} of the split 'test', greedy, 95% intervals"


def test_success_is_left_out_where_it_says_the_same() -> None:
    same = {"a": {"metrics": {"success": HALF, "accuracy": HALF}}}
    other = {"a": {"metrics": {"success": LESS, "accuracy": HALF}}}
    assert metric_names(same) == ["accuracy"] and metric_names(other) == ["success", "accuracy"]
    assert metric_names({"a": {"metrics": {"success": HALF}}}) == ["success"]


def test_what_there_is_nothing_to_compare_with_is_left_out() -> None:
    one, two = {"metrics": {"accuracy": HALF, "length": HALF}}, {"metrics": {"accuracy": HALF}}
    assert metric_names({"a": one, "b": two}) == ["accuracy"]
    assert metric_names({"a": one}) == metric_names({"a": one, "b": one, "c": two}) == ["accuracy", "length"]


def test_numbers() -> None:
    assert [number(value) for value in (0.12345, -0.00001, 12.345, -123.456)] == ["0.123", "0.000", "12.35", "-123.5"]
    assert [number(value, True) for value in (0.5, -0.5, 0.0001)] == ["+0.500", "-0.500", "0.000"]
    assert estimate_texts(None) == ("-", "") and estimate_texts(_estimate(0.5)) == ("0.500", "")
    assert estimate_texts(_estimate(0.5, 0.5, 0.5000001)) == ("0.500", "")  # says nothing


def test_markdown_has_all_numbers() -> None:
    lines = markdown("t", COLUMNS).splitlines()
    assert lines[0] == "**t**" and lines[2] == "| metric | untrained | trained | difference |"
    assert "| entity F1 | 0.250 [0.000, 0.400] | 0.500 [0.250, 0.750] | +0.250 [-0.050, +0.500] |" in lines
    assert lines[-1].startswith("| micro average | 12 | 0.500 [0.250, 0.750] | 1.000 | 0.667 [0.400, 0.900] |")
    assert "| [red] | 12 | 0.500 [0.250, 0.750] | 1.000 | 0.667 [0.400, 0.900] | - | - | - |" in lines
    assert "a\\|b" in markdown("t", {"a|b": {"metrics": {"f1": HALF}}})


ENDED = {"reward_terms": {"r": 1.0}, "stop_reason": "eos", "prompt": "Q:", "completion": " x"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"words": ["Ruth", "eats", "pie"], "labels": ["B-PER", "O", "O"], "gold": ["B-PER", "O", "B-FOOD"]},
         ["Ruth/B-PER eats pie/O(B-FOOD)"]),
        ({"stop_reason": "choice", "completion": "red", "choices": ["red", "[b]"], "answer": "red", "reference": "red"},
         ["Q: red", "choices red | [b]", "gold    red"]),
        ({"choices": [], "answer": "x", "reference": ["x", "y"]}, ["Q: x", "gold    x | y"]),
        ({"choices": [], "answer": "", "reference": ["x"]}, ["Q: x", "answer  (none)", "gold    x"]),
        ({"reference": "whole text"}, ["Q: x", "reference whole text"]),
    ],
)  # fmt: skip
def test_episodes_show_what_would_have_been_right(told: dict[str, Any], expected: list[str]) -> None:
    shown = _printed(lambda _: episode({**ENDED, **told}), 100).splitlines()
    assert [line.rstrip() for line in shown] == [*expected, "reward 1.000"]
