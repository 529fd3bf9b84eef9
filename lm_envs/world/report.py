"""The answer of a checker."""

from __future__ import annotations

from typing import NamedTuple


class GrammarReport(NamedTuple):
    """Whether a text belongs to the world.

    Attributes:
        ok: The text is well formed; its last sentence may be cut off.
        reason: Empty when ``ok``; otherwise names the sentence that failed, and what was wrong with it.
        complete: The text is well formed and ends with a whole sentence.
    """

    ok: bool
    reason: str = ""
    complete: bool = False
