"""Rewards for the course of a conversation: how long it is, what is said twice, and how the user takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import read_column
from lm_envs.rewards.registry import register
from lm_envs.rewards.sentiment import Sentiment
from lm_envs.rewards.words import ngrams_of, require_package, require_positive_integer, words_of


@register("turn_cost")
@dataclass(frozen=True)
class TurnCost:
    """-1 for each turn of the agent, so that short conversations are worth more; weight it."""

    __name__ = "turn_cost"
    per_turn = True
    required_columns = ("turn",)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """-1.0 for each turn."""
        return [-1.0] * len(completions)


@register("non_repetition")
@dataclass(frozen=True)
class NonRepetition:
    """How much of what the agent says is new; paid at the conversation's end.

    Formula: of the n-grams of words in all turns of the agent but its first, the share that occurs in none of its
    earlier turns. Range 0 (it says the same in every turn; also an agent that says nothing at all, so that silence
    does not pay) to 1 (nothing repeats). A turn of fewer than ``n`` words counts as one n-gram. Reads the column
    ``messages``.

    Args:
        n: The n-grams' length.

    References:
        Repetition across a speaker's turns: See et al. 2019, https://arxiv.org/abs/1902.08654
    """

    __name__ = "non_repetition"
    required_columns = ("messages",)
    n: int = 2

    def __post_init__(self) -> None:
        """Check ``n``."""
        require_positive_integer("non_repetition", "n", self.n)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each conversation."""
        return [self._share_of_new(turns_of("assistant", row)) for row in read_column(self, "messages", columns)]

    def _share_of_new(self, turns: Sequence[str]) -> float:
        first, *later = [self._ngrams(turn) for turn in turns if words_of(turn)] or [[]]
        if not first:
            return 0.0
        said = set(first)
        n_new = 0
        for ngrams in later:
            n_new += sum(ngram not in said for ngram in ngrams)
            said.update(ngrams)
        n_later = sum(map(len, later))
        return n_new / n_later if n_later else 1.0

    def _ngrams(self, turn: str) -> list[tuple[str, ...]]:
        words = words_of(turn)
        return ngrams_of(words, min(self.n, len(words)))


@register("user_sentiment")
@dataclass(frozen=True)
class UserSentiment:
    """How pleased the user's last turn sounds; paid at the conversation's end.

    Formula and range are those of the reward ``sentiment``: VADER, 0 (negative) over 0.5 (neutral) to 1 (positive).
    0 where the user has said nothing. Reads the column ``messages``.

    References:
        Hutto and Gilbert 2014, https://doi.org/10.1609/icwsm.v8i1.14550
    """

    __name__ = "user_sentiment"
    required_columns = ("messages",)

    def __post_init__(self) -> None:
        """Check that vaderSentiment is installed."""
        require_package("vaderSentiment", self.__name__)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each conversation."""
        last = [(turns_of("user", row) or [""])[-1] for row in read_column(self, "messages", columns)]
        return Sentiment()(prompts, last)


def turns_of(role: str, messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What ``role`` has said, turn by turn, without turns that are blank."""
    return [message["content"] for message in messages if message["role"] == role and message["content"].strip()]
