"""Writes what was measured into README.md and the pages of ``docs``: ``python -m benchmarks.documents``.

A part stands between two comments, ``<!-- NAME: ... -->`` and ``<!-- end of NAME -->``. Every number in it comes from a
file under ``benchmarks/results``; a test fails while a document says anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.readme_answers import labels_part, question_learning_part, text_tasks_part
from benchmarks.readme_cells import ROOT
from benchmarks.readme_feedback import over_optimisation_part, rlhf_part
from benchmarks.readme_learning import dialogue_acts_part, dialogue_learning_part, learning_part, value_learning_part
from benchmarks.readme_scale import gpu_part, roofline_part, scaling_part, sizes_part
from benchmarks.readme_speed import dialogue_throughput_part, dqn_part, peers_part, short_speed_part, throughput_part
from benchmarks.readme_suite import suite_part

PARTS: dict[str, Callable[[Path], str]] = {
    "learning": lambda _: learning_part(),
    "value learning": lambda _: value_learning_part(),
    "throughput": lambda _: throughput_part(),
    "speed": lambda _: short_speed_part(),
    "dqn": lambda _: dqn_part(),
    "dialogue learning": lambda _: dialogue_learning_part(),
    "dialogue acts": lambda _: dialogue_acts_part(),
    "dialogue throughput": lambda _: dialogue_throughput_part(),
    "text tasks": lambda _: text_tasks_part(),
    "question learning": lambda _: question_learning_part(),
    "labels": lambda _: labels_part(),
    "feedback": lambda _: rlhf_part(),
    "over-optimisation": lambda _: over_optimisation_part(),
    "peers": lambda _: peers_part(),
    "lengths": sizes_part("lengths"),
    "envs": sizes_part("envs"),
    "models": sizes_part("models"),
    "roofline": roofline_part,
    "scaling": scaling_part,
    "gpu": gpu_part,
    "suite": suite_part,
}
"""The name of each part, and what writes it for the document at a path."""

BEGINNING = re.compile(r"<!-- ([\w -]+): written by `python -m benchmarks\.documents`.*?-->\n")


def main() -> None:
    """Rewrite the measured parts of every document in place."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        path.write_text(updated(text, path), encoding="utf-8")


def documents() -> list[Path]:
    """README.md and the pages that are written by hand."""
    return [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]


def names(text: str) -> list[str]:
    """The parts that begin in a text, in order."""
    return BEGINNING.findall(text)


def updated(text: str, path: Path) -> str:
    """A document with each measured part made anew from the results.

    Args:
        text: The document.
        path: Where it stands, for what it links to, and for messages.

    Raises:
        ValueError: It has a part that is not in :data:`PARTS`, that has no end, or that is there twice.
    """
    for name in names(text):
        if name not in PARTS:
            raise ValueError(f"{path}: no part is called {name!r}; expected one of {', '.join(map(repr, PARTS))}")
        halves = re.split(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", text, flags=re.S)
        if len(halves) != 4:
            raise ValueError(f"{path}: expected one part {name!r} with an end, found {len(halves) // 3}")
        text = f"{halves[0]}{halves[1]}{PARTS[name](path)}\n{halves[2]}{halves[3]}"
    return text


if __name__ == "__main__":
    main()
