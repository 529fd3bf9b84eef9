"""Episodes as coloured text: what the world says dim, what the agent says bold, rewards green or red."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_RESET = "\x1b[0m"
_STYLES = {"dim": "\x1b[2m", "bold": "\x1b[1m", "green": "\x1b[32m", "red": "\x1b[31m"}


class Piece(NamedTuple):
    """A stretch of text, written by the agent or by the world."""

    text: str
    by_agent: bool


@dataclass(frozen=True)
class EpisodeView:
    """What there is to see of an episode.

    Attributes:
        pieces: What was said so far. While an episode runs, only the last piece grows.
        reward_terms: The terms of the reward paid so far, by name.
        stop_reason: Why the episode ended; empty while it runs.
        n_new_tokens: How many tokens were generated so far.
    """

    pieces: tuple[Piece, ...]
    reward_terms: Mapping[str, float] = field(default_factory=dict)
    stop_reason: str = ""
    n_new_tokens: int = 0

    @classmethod
    def ended(cls, pieces: tuple[Piece, ...], info: Mapping[str, Any]) -> EpisodeView:
        """The view of an episode that has ended, with the rest from its info."""
        return cls(pieces, info["reward_terms"], info["stop_reason"], info["n_new_tokens"])


def styled(text: str, style: str) -> str:
    """``text`` in a style, plain where the environment variable ``NO_COLOR`` is set (https://no-color.org).

    Control characters other than line end and tab are replaced: a model's text must not steer the terminal.
    """
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    if not shown or os.environ.get("NO_COLOR"):
        return shown
    return f"{_STYLES[style]}{shown}{_RESET}"


def episode_text(view: EpisodeView) -> str:
    """The episode's text, then a line on how it ended and its rewards, if any."""
    lines = ["".join(_styled_piece(piece.text, piece) for piece in view.pieces), summary_text(view)]
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
        self._written: list[str] = []  # of each piece

    def start(self, view: EpisodeView) -> None:
        """Show what there is of a new episode."""
        self._written = []
        self.grow(view)

    def grow(self, view: EpisodeView) -> None:
        """Show what the text gained; at the episode's end the summary line too."""
        for number, piece in enumerate(view.pieces):
            if number == len(self._written):
                self._written.append("")
            known = self._written[number]
            unfinished = not view.stop_reason and piece.text.endswith("\N{REPLACEMENT CHARACTER}")
            if not unfinished and piece.text.startswith(known):
                _write(_styled_piece(piece.text[len(known) :], piece))
                self._written[number] = piece.text
        if view.stop_reason:
            _write(f"\n{summary_text(view)}\n")


def _styled_piece(text: str, piece: Piece) -> str:
    return styled(text, "bold" if piece.by_agent else "dim")


def write_episode(view: EpisodeView) -> None:
    """Print a whole episode to standard output."""
    _write(episode_text(view) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
