"""When the rewards of a conversation are paid: at the end of each turn of the agent, or at its end."""

from __future__ import annotations

import numpy as np

from lm_envs.errors import ConfigurationError
from lm_envs.payments import Completions, FloatArray, Payment
from lm_envs.rewards import RewardBatch, RewardSum
from lm_envs.token_state import IntArray


class TurnRewards:
    """Calls the rewards when turns end, and remembers what the running conversations were paid.

    Args:
        rewards: The terms; those with ``per_turn`` are paid at every turn's end, the others at the conversation's.
        num_rows: Number of conversations side by side.

    Raises:
        ConfigurationError: A term wants to be paid at every step.
    """

    def __init__(self, rewards: RewardSum, num_rows: int) -> None:
        if rewards.per_step:
            name = next(term.name for term in rewards.terms if term.per_step)
            raise ConfigurationError(
                f"the reward {name!r} has per_step = True: in a conversation it would score pieces of turns. Give it "
                "per_turn = True to have it paid for each turn, or neither to have it paid at the end"
            )
        self.names = rewards.names
        self._per_turn = _sum_of(rewards, per_turn=True)
        self._final = _sum_of(rewards, per_turn=False)
        self.num_rows = num_rows
        self._sums: dict[str, FloatArray] = {name: np.zeros(num_rows) for name in self.names}

    def start(self, rows: IntArray) -> None:
        """New conversations begin in ``rows``, ``(k,)``."""
        for sums in self._sums.values():
            sums[rows] = 0.0

    def so_far(self, row: int) -> dict[str, float]:
        """Each term's part of what the conversation in ``row`` was paid."""
        return {name: float(sums[row]) for name, sums in self._sums.items()}

    def pay(self, rows: IntArray, turns: Completions, ended: IntArray, conversations: Completions) -> Payment:
        """Call the rewards, each once.

        Args:
            rows: The rows whose turn ended, ``(k,)``.
            turns: These turns.
            ended: The rows whose conversation ended, ``(e,)``.
            conversations: All turns of the agent in these.

        Returns:
            Rewards ``(num_rows,)``, and the terms ``(e,)`` of the conversations that ended.

        Raises:
            RewardError: A reward failed.
        """
        rewards = np.zeros(self.num_rows)
        if self._per_turn is not None:
            rewards[rows] += self._add(rows, self._per_turn.turn(turns.prompts, turns.texts, **turns.columns))
        token_rewards = None
        if self._final is not None and ended.size:
            final = self._final.episode(conversations.prompts, conversations.texts, **conversations.columns)
            rewards[ended] += self._add(ended, final)
            token_rewards = final.token_rewards
        return Payment(rewards, {name: sums[ended] for name, sums in self._sums.items()}, token_rewards)

    def _add(self, rows: IntArray, batch: RewardBatch) -> FloatArray:
        """Add the terms of some rows to what they were paid; returns their rewards ``(k,)``."""
        for name, values in batch.terms.items():
            self._sums[name][rows] += values
        return batch.total


def _sum_of(rewards: RewardSum, per_turn: bool) -> RewardSum | None:
    terms = [term for term in rewards.terms if term.per_turn == per_turn]
    return RewardSum(terms) if terms else None
