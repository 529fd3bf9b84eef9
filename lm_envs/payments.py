"""When the rewards of running episodes are paid: at the end, at every step, or as they grow (shaping)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lm_envs.token_state import IntArray

if TYPE_CHECKING:
    from lm_envs.rewards import RewardBatch, RewardSum

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Completions:
    """What rewards are called with, for some rows.

    Attributes:
        prompts: The prompts, ``k`` of them.
        texts: The completions, so far or finished.
        columns: The data set's columns and the token ids, each of length ``k``.
    """

    prompts: list[str]
    texts: list[str]
    columns: dict[str, Sequence[Any]]

    def take(self, indices: IntArray) -> Completions:
        """Those at ``indices``."""
        columns: dict[str, Sequence[Any]] = {
            name: [values[i] for i in indices] for name, values in self.columns.items()
        }
        return Completions([self.prompts[i] for i in indices], [self.texts[i] for i in indices], columns)


class Payment(NamedTuple):
    """What a step pays.

    Attributes:
        rewards: ``(num_rows,)`` float64.
        terms: Each term's part of the returns of the episodes that ended, ``(k,)`` float64.
        token_rewards: Their per-token rewards, ``k`` arrays; None if no reward returned any.
    """

    rewards: FloatArray
    terms: dict[str, FloatArray]
    token_rewards: list[FloatArray] | None


class RewardPayments:
    """Calls the rewards in every step that needs them, and remembers what the running episodes were paid.

    With shaping an episode reward's score of the completion so far is a potential, 0 before the first token,
    and a step pays by how much the potential grew: potential-based shaping (Ng, Harada and Russell 1999). An
    episode's payments sum to its reward, so without discounting the optimal policy stays as it is; with a discount
    below 1 earlier gains count more.

    Attributes:
        every_step: Whether :meth:`pay` needs the completions of all rows in every step.
    """

    def __init__(self, rewards: RewardSum, num_rows: int, shaping: bool) -> None:
        """Nothing is paid yet.

        Args:
            rewards: The reward terms.
            num_rows: Number of episodes side by side.
            shaping: Pay episode rewards as they grow, those that can score a partial completion.
        """
        self.rewards = rewards
        self.num_rows = num_rows
        self.shaping = shaping and bool(rewards.partial)
        self.every_step = self.shaping or bool(rewards.per_step)
        self._step_sums: dict[str, FloatArray] = {}  # of the running episodes, (num_rows,) each
        self._potentials: dict[str, FloatArray] = {}
        self._paid = np.zeros(num_rows)  # by shaping

    def start(self, rows: IntArray) -> None:
        """New episodes begin in ``rows``, ``(k,)``."""
        for sums in (*self._step_sums.values(), *self._potentials.values(), self._paid):
            sums[rows] = 0.0

    def so_far(self, row: int) -> dict[str, float]:
        """Each term's part of what the episode in ``row`` was paid."""
        return {name: float(sums[row]) for name, sums in (*self._step_sums.items(), *self._potentials.items())}

    def pay(self, completions: Completions, ended: IntArray) -> Payment:
        """Call the rewards, each once.

        Args:
            completions: Those of all rows if ``every_step``, else those of the rows ``ended``.
            ended: The rows whose episode ended in this step, ``(k,)``.

        Raises:
            RewardError: A reward failed.
        """
        rewards = np.zeros(self.num_rows)
        if self.rewards.per_step:
            rewards += self._pay_step(completions)
        if self.shaping:
            growth, final = self._pay_growth(completions, ended)
            rewards += growth
        else:
            finished = completions.take(ended) if self.every_step else completions
            final = self.rewards.episode(finished.prompts, finished.texts, **finished.columns)
            rewards[ended] += final.total
        terms = {name: sums[ended] for name, sums in self._step_sums.items()}
        return Payment(rewards, {**terms, **final.terms}, final.token_rewards)

    def _pay_step(self, completions: Completions) -> FloatArray:
        """The step rewards, ``(num_rows,)``; adds their terms to the episodes' sums."""
        batch = self.rewards.step(completions.prompts, completions.texts, **completions.columns)
        for name, values in batch.terms.items():
            self._step_sums[name] = self._step_sums.get(name, 0.0) + values
        return batch.total

    def _pay_growth(self, completions: Completions, ended: IntArray) -> tuple[FloatArray, RewardBatch]:
        """What the potentials grew by, ``(num_rows,)``, and the rewards of the episodes that ended."""
        scores, final = self.rewards.progress(ended, completions.prompts, completions.texts, **completions.columns)
        for name, values in scores.items():
            before = self._potentials.get(name, 0.0)
            self._potentials[name] = np.where(np.isnan(values), before, values)
        worth = np.sum(list(self._potentials.values()), axis=0)
        worth[ended] = final.total  # with the terms that are paid at the end, and free of rounding
        growth = worth - self._paid
        self._paid = worth
        return growth, final
