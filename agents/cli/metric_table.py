"""Evaluations as rows of numbers, for the terminal and for Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

DIFFERENCE = "difference"

_LABELS = {
    "grammar": "grammar pass rate",
    "exact_match": "exact match",
    "f1": "F1",
    "has_ans_exact_match": "  EM, has answer",
    "has_ans_f1": "  F1, has answer",
    "no_ans_exact_match": "  EM, no answer",
    "no_ans_f1": "  F1, no answer",
    "numeric_match": "numeric match",
    "macro_f1": "macro F1",
    "score": "verifier score",
    "token_accuracy": "token accuracy",
    "entity_precision": "entity precision",
    "entity_recall": "entity recall",
    "entity_f1": "entity F1",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "chrf": "chrF",
    "bleu": "BLEU",
    "distinct_2": "distinct-2",
    "kl": "KL, nats/episode",
    "length": "length, tokens",
    "turns": "length, turns",
}
_SAME = ("exact_match", "accuracy")  # as success, unless the data say otherwise
_OF_ALL = ("success", "grammar", "distinct_2", "kl", "length", "turns")
_AVERAGES = {"micro_avg": "micro average", "macro_avg": "macro average", "weighted_avg": "weighted average"}

Columns = Mapping[str, Mapping[str, Any]]
"""Heading -> ``Evaluation.to_dict()``, perhaps with ``"difference"`` from the first one."""


def label(metric: str) -> str:
    """What a metric is called in a table; indented where it is part of the one above."""
    return _LABELS.get(metric, metric.replace("reward/", "  "))


def is_of_the_field(metric: str) -> bool:
    """Whether a metric is one that the literature reports for the task, and none that every environment has."""
    return not metric.startswith("reward") and metric not in _OF_ALL


def type_label(name: str) -> str:
    """What a row of the report of entities is called."""
    return _AVERAGES.get(name, name)


def metric_names(columns: Columns) -> list[str]:
    """The metrics to show: those to compare, that is of two evaluations or of the only one.

    A success that says the same as exact match or accuracy is left out.
    """
    counts = Counter(name for result in columns.values() for name in result["metrics"])
    names = [name for name, count in counts.items() if count >= min(2, len(columns))]
    found = [[result["metrics"].get(name) for result in columns.values()] for name in ("success", *_SAME)]
    return [name for name in names if name != "success" or found[0] not in found[1:]]


def with_difference(columns: Columns) -> dict[str, Mapping[str, Any]]:
    """The metrics of each column; of two columns also how the second differs from the first, if it tells."""
    found: dict[str, Mapping[str, Any]] = {heading: result["metrics"] for heading, result in columns.items()}
    last = list(columns.values())[-1]
    if len(columns) == 2 and DIFFERENCE in last:
        found[DIFFERENCE] = last[DIFFERENCE]
    return found


def estimate_texts(estimate: Mapping[str, Any] | None, signed: bool = False) -> tuple[str, str]:
    """The value and its interval, which is empty where there is none or where it has no width."""
    if estimate is None:
        return "-", ""
    mean = number(estimate["mean"], signed)
    if estimate["low"] is None:
        return mean, ""
    low, high = number(estimate["low"], signed), number(estimate["high"], signed)
    return mean, "" if low == high else f"[{low}, {high}]"


def number(value: float, signed: bool = False) -> str:
    """A number with as many digits as anybody reads; never a negative zero."""
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    value = round(value, digits) + 0.0
    return f"{value:{'+' if signed and value else ''}.{digits}f}"


def markdown(title: str, columns: Columns) -> str:
    """The evaluations as Markdown: the title, a table of all metrics, and one of the types of entities if there are.

    Args:
        title: What was evaluated.
        columns: The evaluations.
    """
    shown = with_difference(columns)
    rows = [
        [label(name).strip(), *(_cell(found.get(name), heading == DIFFERENCE) for heading, found in shown.items())]
        for name in metric_names(columns)
    ]
    parts = [f"**{title}**", _markdown_table(["metric", *shown], rows)]
    reports = {heading: result["entities"] for heading, result in columns.items() if "entities" in result}
    if reports:
        parts.append(_markdown_table(*_entity_rows(reports)))
    return "\n\n".join(parts) + "\n"


def _entity_rows(reports: Columns) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the report of entities."""
    measures = ("precision", "recall", "f1")
    headings = [f"{heading} {'F1' if name == 'f1' else name}" for heading in reports for name in measures]
    rows = []
    for kind in dict.fromkeys(kind for report in reports.values() for kind in report):
        there = [report.get(kind, {}) for report in reports.values()]
        support = next(str(row["support"]) for row in there if row)
        rows.append([type_label(kind), support, *(_cell(row.get(name)) for row in there for name in measures)])
    return ["entities", "support", *headings], rows


def _cell(estimate: Mapping[str, Any] | None, signed: bool = False) -> str:
    return " ".join(estimate_texts(estimate, signed)).strip()


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    lines = [headings, [":--", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
