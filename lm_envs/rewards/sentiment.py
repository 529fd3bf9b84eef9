"""Does the text sound pleased?"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_package, words_of


@register("sentiment")
@dataclass(frozen=True)
class Sentiment:
    """Positive sentiment, by the word list and rules of VADER.

    Formula: ``(compound + 1) / 2``. Range 0 (negative) over 0.5 (neutral) to 1 (positive). A completion
    without any word or emoticon scores 0, not 0.5, so that silence does not pay.

    References:
        Hutto and Gilbert 2014, https://doi.org/10.1609/icwsm.v8i1.14550
    """

    __name__ = "sentiment"

    def __post_init__(self) -> None:
        """Check that vaderSentiment is installed."""
        require_package("vaderSentiment", self.__name__)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion."""
        return [_positivity(text or "") for text in completions]


@functools.lru_cache(maxsize=2**14)  # greedy policies repeat texts
def _positivity(text: str) -> float:
    compound = float(_analyzer().polarity_scores(text)["compound"])
    if compound == 0 and not words_of(text):
        return 0.0
    return (compound + 1) / 2


@functools.lru_cache(maxsize=1)
def _analyzer() -> Any:
    """VADER's analyzer, which reads its word list once per process."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
