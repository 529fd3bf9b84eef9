from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from agents.cli.display import before_after_table, episode, evaluation_table
from agents.cli.messages import printable
from agents.cli.options import key_values, reward_specification
from agents.cli.progress import LiveTraining, divergence_text, exploration_text, live_text

RESULT = {"metrics": {"reward": {"mean": 0.5, "low": 0.25, "high": 0.75}, "kl": {"mean": 0.0, "low": 0.0, "high": 0.0}}}
ITEM = {"prompt": "A [red]tent[/red] ", "completion": "word " * 60 + "\x1b[31m", "reward_terms": {"a": 0.5, "b": -0.1},
        "stop_reason": "eos"}  # fmt: skip


def _printed(thing: Any, width: int, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal)
    console.print(thing(console))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 48, 60, 80, 160])
def test_tables_fit_the_terminal_and_lose_no_number(width: int) -> None:
    text = _printed(lambda c: evaluation_table(c, {"before": RESULT, "after": RESULT}), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text and text.count("0.250") == 2
    assert width < 60 or text.count("[0.250, 0.750]") == 2
    assert text.count("[0.000, 0.000]") == 0  # an interval of no width says nothing


@pytest.mark.parametrize(("width", "lines_each"), [(80, 2), (120, 1)])
def test_a_third_column_moves_intervals_below_the_means(width: int, lines_each: int) -> None:
    metrics = {name: {"mean": -0.97, "low": -1.262, "high": -0.672} for name in ("reward/slots_filled", "turns")}
    columns = {name: {"metrics": metrics} for name in ("untrained", "trained", "agent")}
    text = _printed(lambda c: evaluation_table(c, columns), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert text.count("[-1.262, -0.672]") == 6 and "slots_filled" in text
    assert len(text.splitlines()) == 4 + 2 * lines_each


@pytest.mark.parametrize("width", [30, 60, 100])
@pytest.mark.parametrize("terminal", [False, True])
def test_completions_fit_the_terminal(width: int, terminal: bool) -> None:
    text = _printed(lambda c: before_after_table(c, [ITEM], [ITEM]), width, terminal)
    assert text.count("word") == 120
    assert ("\x1b[" in text) is terminal
    assert "\x1b[31m" not in text.replace("\x1b[31m0.4", "")
    if not terminal:
        assert all(len(line) <= width for line in text.splitlines())


def test_a_models_text_is_neither_markup_nor_control_sequence() -> None:
    assert "[red]tent[/red]" in _printed(lambda _: episode(ITEM), 100)
    assert printable("a\x1b[2Jb\nc\u202e") == "a\ufffd[2Jb\nc\ufffd"


def test_the_reward_line_names_the_terms() -> None:
    assert "reward 0.400   a 0.500  b -0.100" in _printed(lambda _: episode(ITEM), 400)
    assert "reward" not in _printed(lambda _: episode(ITEM, rewards=False), 400)


def test_progress_without_a_terminal_is_a_few_lines() -> None:
    console = Console(file=io.StringIO(), width=80)
    with LiveTraining(console, total=1_000) as live:
        live.stage("training")
        live.begin(0)
        for step in range(4, 1_001, 4):
            live.update(step, 0.5, divergence_text(None))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "training" and len(lines) == 11
    assert lines[-1].strip().startswith("1,000 / 1,000 steps   reward 0.500  KL -")


def test_progress_on_a_terminal_shows_the_live_numbers() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with LiveTraining(console, total=100) as live:
        live.stage("training")
        live.begin(0)
        live.update(50, 0.625, divergence_text(3.25))
    assert "reward 0.625  KL 3.2" in console.file.getvalue()  # type: ignore[attr-defined]
    assert live_text(0.5, divergence_text(-0.01), 0.0) == "reward 0.500  KL 0.0  0 tok/s"
    assert live_text(None, divergence_text(None), 1234.5) == "reward -  KL -  1,234 tok/s"
    assert live_text(0.5, exploration_text(0.25), 10.0) == "reward 0.500  exploring 25%  10 tok/s"
    assert live_text(0.5, "", 10.0) == "reward 0.500  10 tok/s"


def test_option_values_are_literals_or_texts() -> None:
    texts = ["a=1", "b=1e-3", "c=true", "d=None", "e=top:2", "f-g=[1, 2]", "h=a=b"]
    expected = {"a": 1, "b": 1e-3, "c": True, "d": None, "e": "top:2", "f_g": [1, 2], "h": "a=b"}
    assert key_values(texts, "-E") == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (None, None),
        (["length"], "length"),
        (["1*length"], "length"),
        (["0.5*length:target=3"], {"length:target=3": 0.5}),
        (["length", "2 * distinct"], {"length": 1.0, "distinct": 2.0}),
        (["length:target=3,unit=words"], "length:target=3,unit=words"),
    ],
)
def test_rewards_have_weights(texts: list[str] | None, expected: Any) -> None:
    assert reward_specification(texts) == expected
