"""Evaluations and completions as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.cli.messages import printable

NARROW = 76
"""Columns below which texts go from side by side to one below the other."""

WIDEST = 1_000
"""Columns that any table of numbers fits in."""

_LABELS = {
    "reward": "reward",
    "success": "success",
    "grammar": "grammar pass rate",
    "distinct_2": "distinct-2",
    "kl": "KL, nats/episode",
    "length": "length, tokens",
    "turns": "length, turns",
}


def evaluation_table(console: Console, columns: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each metric, a column for each evaluation.

    Args:
        console: Where it will be printed; its width decides how an interval is set.
        columns: Heading -> ``Evaluation.to_dict()``.
    """
    wide = _evaluation_table(columns, wide=True)
    needed = console.measure(wide, options=console.options.update(max_width=WIDEST)).maximum
    return wide if needed <= console.width else _evaluation_table(columns, wide=False)


def _evaluation_table(columns: Mapping[str, Mapping[str, Any]], wide: bool) -> Table:
    """The table with intervals beside the means, or below them."""
    table = Table(header_style="bold")
    table.add_column("held-out mean" if wide else "mean", no_wrap=wide, overflow="fold", min_width=8)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=wide, overflow="fold")
    for metric in dict.fromkeys(name for result in columns.values() for name in result["metrics"]):
        cells = [_estimate(result["metrics"].get(metric), " " if wide else "\n") for result in columns.values()]
        table.add_row(_label(metric), *cells)
    return table


def evaluation_title(result: Mapping[str, Any], greedy: bool) -> str:
    """What an evaluation was made of.

    Args:
        result: ``Evaluation.to_dict()``.
        greedy: Whether a policy always took the most probable action.
    """
    what, how = ("conversations", ", greedy") if "turns" in result["metrics"] else ("prompts", ", greedy completions")
    return f"{result['n_prompts']} {what} of the split {result['split']!r}{how if greedy else ''}, 95% intervals"


def _label(metric: str) -> str:
    return _LABELS.get(metric, metric.replace("reward/", "  "))


def _estimate(estimate: Mapping[str, Any] | None, separator: str) -> Text:
    if estimate is None:
        return Text("-")
    mean = Text(_number(estimate["mean"]), style="bold")
    if estimate["low"] is None or estimate["low"] == estimate["high"]:
        return mean
    return mean + Text(f"{separator}[{_number(estimate['low'])}, {_number(estimate['high'])}]", style="dim")


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


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
    """One episode: prompt or user dim, the agent's text bold, then the reward and its terms.

    Args:
        item: ``Completion.to_dict()``.
        rewards: Whether to show the reward.
    """
    if "messages" in item:
        text = conversation(item["messages"])
    else:
        text = Text.assemble((printable(item["prompt"]), "dim"), (printable(item["completion"]), "bold"))
    return Text.assemble(text, "\n", rewards_line(item["reward_terms"])) if rewards else text


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
    line = Text.assemble(("reward ", "dim"), (_number(total), "red" if total < 0 else "green"))
    if len(terms) > 1:
        parts = "  ".join(f"{name} {_number(value)}" for name, value in terms.items())
        line.append(f"   {parts}", style="dim")
    return line
