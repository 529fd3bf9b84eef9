"""Episodes as coloured text: the prompt dim, the completion bold, rewards green or red."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_RESET = "\x1b[0m"
_STYLES = {"dim": "\x1b[2m", "bold": "\x1b[1m", "green": "\x1b[32m", "red": "\x1b[31m"}


@dataclass(frozen=True)
class EpisodeView:
    """What there is to see of an episode.

    Attributes:
        prompt: The prompt's text.
        completion: What was generated so far.
        reward_terms: The terms of the reward paid so far, by name.
        stop_reason: Why the episode ended; empty while it runs.
        n_new_tokens: How many tokens were generated so far.
    """

    prompt: str
    completion: str
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    stop_reason: str = ""
    n_new_tokens: int = 0

    @classmethod
    def of_info(cls, info: Mapping[str, Any]) -> EpisodeView:
        """The view of an episode that has ended, from its info."""
        return cls(**{name: info[name] for name in cls.__dataclass_fields__})


def styled(text: str, style: str) -> str:
    """``text`` in a style, plain where the environment variable ``NO_COLOR`` is set (https://no-color.org).

    Control characters other than line end and tab are replaced: a model's text must not steer the terminal.
    """
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    if not shown or os.environ.get("NO_COLOR"):
        return shown
    return f"{_STYLES[style]}{shown}{_RESET}"


def episode_text(view: EpisodeView) -> str:
    """The episode on a few lines: prompt and completion, then how it ended and its rewards, if any."""
    lines = [styled(view.prompt, "dim") + styled(view.completion, "bold"), summary_text(view)]
    return "\n".join(line for line in lines if line)


def summary_text(view: EpisodeView) -> str:
    """One line: number of tokens, how the episode ended, and the reward terms with their sum."""
    parts = []
    if view.stop_reason:
        parts.append(styled(f"[{view.n_new_tokens} tokens, {view.stop_reason}]", "dim"))
    terms = [f"{name} {_amount(value)}" for name, value in view.reward_terms.items()]
    if len(terms) > 1:
        parts.append(f"{_amount(sum(view.reward_terms.values()))} =")
    return "  ".join([*parts, *terms])


def _amount(value: float) -> str:
    return styled(f"{value:+.3f}", "red" if value < 0 else "green")


class EpisodeStream:
    """Writes a running episode to standard output as it grows, like text being typed."""

    def __init__(self) -> None:
        """Start before the first episode."""
        self._written = ""

    def start(self, view: EpisodeView) -> None:
        """Show the prompt of a new episode."""
        self._written = ""
        _write(styled(view.prompt, "dim"))

    def grow(self, view: EpisodeView) -> None:
        """Show what the completion gained; at the episode's end the summary line too."""
        unfinished = not view.stop_reason and view.completion.endswith("\N{REPLACEMENT CHARACTER}")
        if not unfinished and view.completion.startswith(self._written):
            _write(styled(view.completion[len(self._written) :], "bold"))
            self._written = view.completion
        if view.stop_reason:
            _write(f"\n{summary_text(view)}\n")


def write_episode(view: EpisodeView) -> None:
    """Print a whole episode to standard output."""
    _write(episode_text(view) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
