"""What one sees while a model trains: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback

NARROW = 64  # columns below which the remaining time is left out
LINES_IN_A_RUN = 10  # where there is no terminal


class LiveTraining:
    """Shows the stages of a run and the progress of the learning.

    Args:
        console: Where to; None for nowhere.
        total: Environment steps of the whole run.
    """

    def __init__(self, console: Console | None, total: int) -> None:
        self._console = console
        self._total = total
        self._started_at = 0
        self._start_time = 0.0
        self._lines = 0
        self._stage = ""
        self._progress = _progress(console) if console is not None and console.is_terminal else None
        self._bar: Any = None

    def __enter__(self) -> LiveTraining:
        """Start the display."""
        if self._progress is not None:
            self._progress.start()
            self._bar = self._progress.add_task("starting", total=None, live="")
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()

    def stage(self, name: str) -> None:
        """Show what is being done."""
        self._stage = name
        if self._progress is not None:
            learning = name == "training"
            self._progress.update(self._bar, description=name, total=self._total if learning else None, live="")
        elif self._console is not None:
            self._console.print(name)

    def begin(self, steps: int) -> None:
        """Learning starts, at a step count that is above 0 in a resumed run."""
        self._started_at, self._start_time = steps, time.perf_counter()
        self._lines = steps * LINES_IN_A_RUN // self._total

    def update(self, steps: int, reward: float | None, second: str) -> None:
        """Show how far it is.

        Args:
            steps: Environment steps so far.
            reward: Mean return of the last episodes.
            second: What else is worth seeing, see :func:`divergence_text` and :func:`exploration_text`.
        """
        speed = (steps - self._started_at) / max(time.perf_counter() - self._start_time, 1e-9)
        live = live_text(reward, second, speed)
        if self._progress is not None:
            self._progress.update(self._bar, completed=min(steps, self._total), live=live)
        elif self._console is not None and steps * LINES_IN_A_RUN // self._total > self._lines:
            self._lines = steps * LINES_IN_A_RUN // self._total
            self._console.print(f"{steps:>9,} / {self._total:,} steps   {live}")

    def callbacks(self) -> list[BaseCallback]:
        """Callbacks for ``learn`` that feed this display."""
        return [] if self._console is None else [_callback(self)]


def live_text(reward: float | None, second: str, speed: float) -> str:
    """For example ``reward 0.71  KL 4.2  1,830 tok/s``; a dash for what is not known yet."""
    shown_reward = "-" if reward is None else f"{reward:.3f}"
    return "  ".join(part for part in (f"reward {shown_reward}", second, f"{speed:,.0f} tok/s") if part)


def divergence_text(divergence: float | None) -> str:
    """The KL divergence of the last rollout in nats per episode."""
    return "KL -" if divergence is None else f"KL {round(divergence, 1) + 0.0:.1f}"  # no -0.0


def exploration_text(rate: float) -> str:
    """The share of actions that are random."""
    return f"exploring {rate:.0%}"


def _progress(console: Console) -> Progress:
    description = TextColumn("{task.description}", markup=False)
    live = TextColumn("{task.fields[live]}", style="cyan", markup=False)
    columns: list[Any] = [SpinnerColumn(), description, BarColumn(bar_width=None), live]
    if console.width >= NARROW:
        columns.append(TimeRemainingColumn(compact=True))
    return Progress(*columns, console=console, transient=True, expand=True, refresh_per_second=4)


def _callback(display: LiveTraining) -> BaseCallback:
    """The callback, made here because Stable-Baselines3 takes seconds to import."""
    import numpy as np
    from stable_baselines3.common.callbacks import BaseCallback

    from agents.callbacks.reference_kl import ReferenceKLCallback

    class _Feed(BaseCallback):
        def _on_training_start(self) -> None:
            display.begin(self.model.num_timesteps)

        def _on_step(self) -> bool:
            episodes = self.model.ep_info_buffer or ()
            reward = float(np.mean([episode["r"] for episode in episodes])) if episodes else None
            display.update(self.model.num_timesteps, reward, self._second())
            return True

        def _second(self) -> str:
            rate = getattr(self.model, "exploration_rate", None)
            if rate is not None:
                return exploration_text(rate)
            siblings = getattr(self.locals["callback"], "callbacks", [])
            penalties = [callback for callback in siblings if isinstance(callback, ReferenceKLCallback)]
            return divergence_text(penalties[0].episode_kl or None) if penalties else ""

    return _Feed()
