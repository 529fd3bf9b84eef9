"""Rewards for what a conversation is for: the user's goal, and what the user itself thinks of each turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import RewardError, UnknownNameError
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import read_column
from lm_envs.rewards.registry import register


@register("goal_success")
@dataclass(frozen=True)
class GoalSuccess:
    """1 if the user got what it wanted, else 0; paid at the conversation's end.

    Reads the column ``success``. A partner without a notion of success (None) scores 0.

    References:
        Task success of PARADISE: Walker et al. 1997, https://aclanthology.org/P97-1035
    """

    __name__ = "goal_success"
    required_columns = ("success",)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """1.0 or 0.0 for each conversation."""
        return [1.0 if success else 0.0 for success in read_column(self, "success", columns)]


@register("slots_filled")
@dataclass(frozen=True)
class SlotsFilled:
    """The partner's score ``slots``, at each turn: what share of its goal the turn settled.

    Reads the column ``partner_terms``. Range: the partner's; 0 where it said nothing about the turn.
    """

    __name__ = "slots_filled"
    per_turn = True
    required_columns = ("partner_terms",)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each turn; raises RewardError if the partner gives other scores, but not this one."""
        return _term_of_each(self, "slots", columns)


@register("politeness")
@dataclass(frozen=True)
class Politeness:
    """The partner's score ``politeness``, at each turn.

    Reads the column ``partner_terms``. Range: the partner's; 0 where it said nothing about the turn.
    """

    __name__ = "politeness"
    per_turn = True
    required_columns = ("partner_terms",)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each turn; raises RewardError if the partner gives other scores, but not this one."""
        return _term_of_each(self, "politeness", columns)


@register("partner")
@dataclass(frozen=True)
class PartnerScore:
    """The partner's own scores of the agent's turn, at each turn: their sum, or one of them.

    Reads the column ``partner_terms``. Range: the partner's; 0 where it said nothing about the turn.

    Args:
        term: The name of one score; None adds up all.
    """

    __name__ = "partner"
    per_turn = True
    required_columns = ("partner_terms",)
    term: str | None = None

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each turn; raises RewardError if the partner gives other scores, but not ``term``."""
        if self.term is not None:
            return _term_of_each(self, self.term, columns)
        return [math.fsum(terms.values()) for terms in read_column(self, "partner_terms", columns)]


def _term_of_each(reward: Any, name: str, columns: Mapping[str, Any]) -> list[float]:
    return [_term(reward, name, terms) for terms in read_column(reward, "partner_terms", columns)]


def _term(reward: Any, name: str, terms: Mapping[str, float]) -> float:
    if not terms:
        return 0.0
    if name not in terms:
        remedy = f"The reward {reward.__name__!r} reads it; take another reward, or a partner that gives this score."
        raise RewardError(str(UnknownNameError.for_name("score of the partner", name, terms, remedy)))
    return float(terms[name])
