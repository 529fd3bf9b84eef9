"""What the simulated annotator of the benchmarks wants: no policy and no reward model ever sees it."""

from __future__ import annotations

from typing import Any

from lm_envs import rewards

_SENTIMENT = rewards.get("sentiment")
_GRAMMAR = rewards.get("grammar")

TEMPERATURE = 0.05
"""Noise of the annotator's choices, in units of the reward."""

TIE_MARGIN = 0.1
"""Completions that differ by less are a tie."""


def pleased_and_well_formed(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
    """The sentiment of a well-formed review, 0 to 1; 0 for any other text."""
    pairs = zip(_SENTIMENT(prompts, completions), _GRAMMAR(prompts, completions), strict=True)
    return [sentiment * is_well_formed for sentiment, is_well_formed in pairs]
