"""A reward model's training and its validation in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.reward_models.fitting import Check
from agents.reward_models.measuring import Calibration, Measures
from agents.reward_models.report import RewardModelReport
from lm_envs.errors import MissingDependencyError

_BLUE, _ORANGE, _GREY = "#2563eb", "#d97706", "#6b7280"

Numbers = npt.NDArray[np.float64]


def check_plots() -> None:
    """Check that matplotlib is installed.

    Raises:
        MissingDependencyError: It is not.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.for_package("matplotlib", "plots", "the plot of a reward model") from error


def draw_report(picture: Path, report: RewardModelReport, gaps: Numbers, ratings: tuple[Numbers, Numbers]) -> None:
    """Draw the losses, the score differences with the reliability of the probabilities, and the ratings.

    Args:
        picture: The PNG to write.
        report: The report.
        gaps: Score of the better text minus score of the other in the held-out comparisons, ``(n,)``.
        ratings: Held-out ratings and the predicted ones, ``(m,)`` each.
    """
    from matplotlib.figure import Figure

    drawings: list[Any] = [lambda axes: _draw_losses(axes, report.checks, report.best, bool(len(gaps)))]
    if report.measures is not None and report.measures.calibration is not None:
        measures, calibration = report.measures, report.measures.calibration
        drawings += [lambda axes: _draw_gaps(axes, gaps, measures), lambda axes: _draw_reliability(axes, calibration)]
    if len(ratings[0]):
        drawings.append(lambda axes: _draw_ratings(axes, *ratings))
    figure = Figure(figsize=(4.6 * len(drawings), 3.9), dpi=120, layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(drawings), squeeze=False)[0], drawings, strict=True):
        draw(axes)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    figure.savefig(picture, format="png")


def _draw_losses(axes: Any, checks: Sequence[Check], best: int, has_comparisons: bool) -> None:
    epochs = [check.epoch for check in checks]
    marker = "." if len(checks) < 40 else ""
    axes.plot(epochs, [check.training for check in checks], color=_GREY, marker=marker, label="training")
    validated = [check.validation for check in checks if check.validation is not None]
    if validated:
        axes.plot(epochs, validated, color=_BLUE, marker=marker, label="validation")
        axes.plot(epochs[best], validated[best], "o", color=_BLUE, markerfacecolor="white", zorder=3, label="kept")
    if has_comparisons:
        axes.axhline(np.log(2), color=_GREY, linestyle=":", linewidth=1, label="guessing (log 2)")
    axes.set(xlabel="epochs", ylabel="loss (nats)", ylim=(0, None))
    axes.set_title("Loss", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)


def _draw_gaps(axes: Any, gaps: Numbers, measures: Measures) -> None:
    """How much higher the better text's score is; left of 0 the model is wrong."""
    bound = max(float(np.abs(gaps).max()), 1e-3) * 1.02
    half = int(np.clip(np.sqrt(len(gaps)) / 1.5, 4, 20))
    _, _, bars = axes.hist(gaps, bins=np.linspace(-bound, bound, 2 * half + 1), color=_BLUE, rwidth=0.92)
    for bar in bars:
        if bar.get_x() < -1e-9:
            bar.set_color(_ORANGE)
    axes.axvline(0, color="black", linewidth=1)
    axes.set(xlabel="score of the better text - score of the other", ylabel="comparisons", xlim=(-bound, bound))
    accuracy = measures.accuracy
    assert accuracy is not None
    interval = "" if accuracy.low is None else f" ({accuracy.low:.0%} to {accuracy.high:.0%})"
    axes.set_title(f"Held out: {accuracy.mean:.0%} right{interval}, n = {len(gaps)}", loc="left", fontsize=11)


def _draw_reliability(axes: Any, calibration: Calibration) -> None:
    confidence, accuracy, n = (
        np.array([getattr(item, name) for item in calibration.bins]) for name in ("confidence", "accuracy", "n")
    )
    axes.plot([0.5, 1], [0.5, 1], color=_GREY, linestyle="--", linewidth=1, label="perfect")
    low, high = _wilson(accuracy, n)
    error = np.stack([accuracy - low, high - accuracy]).clip(min=0)
    style = {"fmt": "o-", "color": _BLUE, "capsize": 3, "markersize": 5, "linewidth": 1.2}
    axes.errorbar(confidence, accuracy, yerr=error, label="held out, 95%", **style)
    for x, y, count in zip(confidence, accuracy, n, strict=True):
        axes.annotate(f"{count}", (x, y), (7, -3), textcoords="offset points", fontsize=8, color=_GREY)
    axes.set(xlabel="predicted probability of the higher score", ylabel="share in which it is better")
    axes.set(xlim=(0.48, 1.02), ylim=(0, 1.03))
    axes.set_title(f"Calibration error {calibration.error:.3f}", loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _draw_ratings(axes: Any, given: Numbers, predicted: Numbers) -> None:
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1)
    axes.plot(given, predicted, "o", color=_BLUE, alpha=0.35, markersize=4, markeredgewidth=0)
    axes.set(xlabel="rating", ylabel="predicted rating", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    mean = float(np.abs(given - predicted).mean())
    axes.set_title(f"Held-out ratings: mean distance {mean:.2f}, n = {len(given)}", loc="left", fontsize=11)


def _wilson(share: Numbers, n: Numbers) -> tuple[Numbers, Numbers]:
    """95% intervals of shares (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953)."""
    z = 1.96
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return middle - half, middle + half
