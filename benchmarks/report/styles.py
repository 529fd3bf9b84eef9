"""How algorithms and baselines are called and drawn, the same in every figure.

Colours are those of Okabe and Ito, https://jfly.uni-koeln.de/color/, without yellow, which is hard to see on white, and
with a purple of Paul Tol's; dashes and markers tell the lines apart where there is no colour.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How something is called and drawn.

    Attributes:
        label: Its name for readers.
        color: Of lines and bars.
        dashes: Matplotlib's line style.
        marker: Matplotlib's marker.
    """

    label: str
    color: str
    dashes: str | tuple[int, tuple[float, ...]] = "-"
    marker: str = "o"


VALUE_LEARNERS = ("dqn", "qrdqn")

STYLES = {
    "ppo": Style("PPO", "#0072b2", "-", "o"),
    "a2c": Style("A2C", "#56b4e9", (0, (4, 1.5)), "s"),
    "grpo": Style("GRPO", "#009e73", "-", "^"),
    "nlpo": Style("NLPO", "#cc79a7", (0, (4, 1.5)), "D"),
    "trpo": Style("TRPO", "#e69f00", (0, (6, 1.5, 1, 1.5)), "v"),
    "dqn": Style("DQN", "#d55e00", "-", "P"),
    "qrdqn": Style("QR-DQN", "#aa3377", (0, (1.2, 1.2)), "X"),
    "untrained": Style("untrained", "#7f7f7f", "-", "|"),
    "random": Style("random", "#7f7f7f", (0, (1, 2)), "|"),
    "greedy": Style("greedy", "#7f7f7f", (0, (3, 1, 1, 1)), "|"),
    "writing": Style("writing", "#7f7f7f", (0, (3, 1, 1, 1, 1, 1)), "|"),
    "best_of_n": Style("best of n", "#7f7f7f", (0, (5, 2)), "|"),
    "supervised": Style("supervised", "#7f7f7f", (0, (5, 2, 1, 2)), "|"),
    "oracle": Style("oracle", "#7f7f7f", (0, (10, 2)), "|"),
}


def style(name: str) -> Style:
    """How an algorithm or a baseline is called and drawn; one that nobody thought of is grey."""
    return STYLES.get(name, Style(name, "#7f7f7f", (0, (3, 1, 1, 1)), "."))
