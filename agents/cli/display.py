"""Evaluations and completions as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.cli.messages import printable
from agents.cli.metric_table import (
    DIFFERENCE,
    Columns,
    estimate_texts,
    is_of_the_field,
    label,
    metric_names,
    number,
    type_label,
    with_difference,
)

NARROW = 76
"""Columns below which texts go from side by side to one below the other."""

WIDEST = 1_000
"""Columns that any table of numbers fits in."""


def print_evaluation(console: Console, title: str, columns: Columns) -> None:
    """Print a title, the metrics, and the report of entities if there is one.

    Args:
        console: Where to.
        title: What was evaluated.
        columns: Heading -> ``Evaluation.to_dict()``.
    """
    console.print(title, style="bold", markup=False, emoji=False, soft_wrap=True)
    console.print(evaluation_table(console, columns))
    if any("entities" in result for result in columns.values()):
        console.print(entity_table(console, columns))


def evaluation_table(console: Console, columns: Columns) -> Table:
    """A row for each metric, a column for each evaluation, and one for the difference of two.

    Args:
        console: Where it will be printed; its width decides how an interval is set.
        columns: Heading -> ``Evaluation.to_dict()``.
    """
    shown = with_difference(columns)
    plain = {heading: found for heading, found in shown.items() if heading != DIFFERENCE}
    layouts = [(shown, True), (shown, False), (plain, False)]
    return _widest(console, [_evaluation_table(metric_names(columns), found, wide) for found, wide in layouts])


def entity_table(console: Console, columns: Columns) -> Table:
    """Precision, recall, F1 and support of each type of entities; in a narrow terminal F1 alone.

    Args:
        console: Where it will be printed.
        columns: Heading -> ``Evaluation.to_dict()``, with ``"entities"``.
    """
    reports = {heading: result["entities"] for heading, result in columns.items() if "entities" in result}
    return _widest(
        console, [_entity_table(reports, *detail) for detail in ((True, True), (True, False), (False, False))]
    )


def _widest(console: Console, tables: Sequence[Table]) -> Table:
    """The first table that fits, else the last one."""
    options = console.options.update(max_width=WIDEST)
    fitting = (table for table in tables[:-1] if console.measure(table, options=options).maximum <= console.width)
    return next(fitting, tables[-1])


def _evaluation_table(names: Sequence[str], shown: Columns, wide: bool) -> Table:
    """The table with intervals beside the means, or below them."""
    table = Table(header_style="bold")
    table.add_column("held-out mean" if wide else "mean", no_wrap=wide, overflow="fold", min_width=8)
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=wide, overflow="fold")
    separator = " " if wide else "\n"
    for place, metric in enumerate(names):
        if place and is_of_the_field(metric) != is_of_the_field(names[place - 1]):
            table.add_section()
        cells = [_estimate(found.get(metric), separator, heading == DIFFERENCE) for heading, found in shown.items()]
        table.add_row(Text(label(metric)), *cells)
    return table


def _entity_table(reports: Columns, all_measures: bool, intervals: bool) -> Table:
    table = Table(header_style="bold")
    table.add_column("entities", overflow="fold", min_width=8)
    table.add_column("support", justify="right")
    heading_below = "    P     R    F1" if all_measures else "F1"
    for heading in reports:
        table.add_column(f"{heading}\n{heading_below}{' ' * 15 * intervals}", justify="right", no_wrap=True)
    for kind in dict.fromkeys(kind for report in reports.values() for kind in report):
        rows = [report.get(kind) for report in reports.values()]
        support = next(str(row["support"]) for row in rows if row is not None)
        if kind == "micro_avg":
            table.add_section()
        table.add_row(Text(type_label(kind)), support, *(_scores(row, all_measures, intervals) for row in rows))
    return table


def _scores(row: Mapping[str, Any] | None, all_measures: bool, intervals: bool) -> Text:
    """A type's scores, F1 bold, with its interval if asked for."""
    if row is None:
        return Text("-")
    others = f"{number(row['precision']['mean'])} {number(row['recall']['mean'])} " if all_measures else ""
    mean, interval = estimate_texts(row["f1"])
    return Text.assemble(others, (mean, "bold"), (f" {interval:14}" if intervals else "", "dim"))


def evaluation_title(result: Mapping[str, Any], greedy: bool) -> str:
    """What an evaluation was made of.

    Args:
        result: ``Evaluation.to_dict()``.
        greedy: Whether a policy always took the most probable action.
    """
    what = _starts(result["metrics"])
    how = ", greedy completions" if what == "prompts" else ", greedy"
    return f"{result['n_prompts']} {what} of the split {result['split']!r}{how if greedy else ''}, 95% intervals"


def _starts(metrics: Mapping[str, Any]) -> str:
    """What episodes begin with."""
    kinds = {"turns": "conversations", "entity_f1": "sentences"}
    kinds |= dict.fromkeys(("exact_match", "accuracy", "answered"), "questions")
    return next((kind for metric, kind in kinds.items() if metric in metrics), "prompts")


def _estimate(estimate: Mapping[str, Any] | None, separator: str, signed: bool = False) -> Text:
    """A value bold, its interval dim; a difference is bold where 0 is not in its interval."""
    mean, interval = estimate_texts(estimate, signed)
    unsure = signed and estimate is not None and estimate["low"] <= 0 <= estimate["high"]
    text = Text(mean, style="" if unsure or estimate is None else "bold")
    return text + Text(separator + interval, style="dim") if interval else text


def before_after_table(
    console: Console, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], n: int = 4
) -> Table:
    """Completions of the same prompts by the untrained and by the trained model.

    Args:
        console: Where it will be printed: side by side if it is wide enough.
        before: ``Completion.to_dict()`` of each prompt.
        after: The same, for the same prompts in the same order.
        n: How many to show.
    """
    side_by_side = console.width >= NARROW
    table = Table(show_lines=True, header_style="bold", expand=True, show_header=side_by_side)
    headings = ("before", "after") if side_by_side else ("",)
    for heading in headings:
        table.add_column(heading, ratio=1)
    for old, new in zip(before[:n], after[:n], strict=True):
        if side_by_side:
            table.add_row(episode(old), episode(new))
        else:
            table.add_row(Text.assemble(("before  ", "bold"), episode(old), ("\nafter   ", "bold"), episode(new)))
    return table


def episode(item: Mapping[str, Any], rewards: bool = True) -> Text:
    """One episode: prompt or user dim, the agent's text bold, gold answers, then the reward and its terms.

    Args:
        item: ``Completion.to_dict()``.
        rewards: Whether to show the reward.
    """
    if "messages" in item:
        text = conversation(item["messages"])
    elif "gold" in item:
        text = tagged_sentence(item["words"], item["labels"], item["gold"])
    else:
        space = " " if item["stop_reason"] == "choice" else ""
        text = Text.assemble((printable(item["prompt"]), "dim"), space, (printable(item["completion"]), "bold"))
    for line in gold_lines(item):
        text = Text.assemble(text, "\n", line)
    return Text.assemble(text, "\n", rewards_line(item["reward_terms"])) if rewards else text


def gold_lines(told: Mapping[str, Any]) -> list[Text]:
    """The choices, the answer where it is not the whole completion, the gold answers or the reference; if there are.

    Args:
        told: ``Completion.to_dict()``, or the info of an episode's end.
    """
    found: dict[str, Any] = {"choices": told.get("choices")}
    if "answer" in told and told["answer"] != told["completion"].strip():
        found["answer"] = told["answer"] or "(none)"
    found["gold" if "answer" in told else "reference"] = told.get("reference")
    texts = {name: [value] if isinstance(value, str) else value for name, value in found.items() if value}
    return [Text.assemble((f"{name:7} ", "dim"), printable(" | ".join(value))) for name, value in texts.items()]


def tagged_sentence(words: Sequence[str], labels: Sequence[str], gold: Sequence[str]) -> Text:
    """``Ruth/B-PER eats bread/O(B-FOOD)``: right labels green, wrong ones red with the gold one in parentheses."""
    text = Text()
    for place, (word, label_, wanted) in enumerate(zip(words, labels, gold, strict=True)):
        text.append(" " * bool(place) + printable(word))
        if label_ != wanted:
            text.append(f"/{label_}({wanted})", style="red")
        elif label_ != "O":
            text.append(f"/{label_}", style="green")
    return text


SPEAKERS = {"system": "system", "user": "user", "assistant": "agent"}


def conversation(messages: Sequence[Mapping[str, str]]) -> Text:
    """A line for each turn, those of the agent bold."""
    return Text("\n").join(spoken(SPEAKERS[message["role"]], message["content"]) for message in messages)


def spoken(speaker: str, text: str) -> Text:
    """One turn with the name of who says it."""
    return Text.assemble((f"{speaker:8}", "dim"), (printable(text), "bold" if speaker == "agent" else ""))


def rewards_line(terms: Mapping[str, float]) -> Text:
    """For example ``reward 0.812 = keywords 0.500 + fluency 0.312``."""
    total = sum(terms.values())
    line = Text.assemble(("reward ", "dim"), (number(total), "red" if total < 0 else "green"))
    if len(terms) > 1:
        parts = "  ".join(f"{name} {number(value)}" for name, value in terms.items())
        line.append(f"   {parts}", style="dim")
    return line
