"""Callbacks of several processes that stop together; those that only look on run on rank 0."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    ConvertCallback,
    EvalCallback,
    LogEveryNTimesteps,
    ProgressBarCallback,
)
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.parallel.ranks import Ranks

ONLOOKERS = (CheckpointCallback, EvalCallback, LogEveryNTimesteps, ProgressBarCallback)
"""Of Stable-Baselines3: they write, and leave what is learned alone. Others say so by ``only_rank_0 = True``."""


class CallbacksInStep(CallbackList):
    """Callbacks of which one that stops training on one process stops it on all.

    The processes agree at the first and at the last step of each rollout; a callback that says stop in between is heard
    at the last one. As in a single process, a rollout that was stopped is not learned from.

    Args:
        callbacks: This process's.
        ranks: The processes.
    """

    model: Any  # a DataParallelAlgorithm

    def __init__(self, callbacks: list[BaseCallback], ranks: Ranks) -> None:
        super().__init__(callbacks)
        self._ranks = ranks
        self._wants_stop = False
        self._step = 0

    def _on_training_start(self) -> None:
        self._wants_stop = False
        super()._on_training_start()

    def _on_rollout_start(self) -> None:
        self.model.end_update()
        self._step = 0
        super()._on_rollout_start()

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        self.model.begin_update()

    def _on_training_end(self) -> None:
        self.model.end_update()
        super()._on_training_end()

    def _on_step(self) -> bool:
        self._step += 1
        self._wants_stop |= not super()._on_step()
        if self._step not in (1, _rollout_steps(self.model)):
            return True
        return self._ranks.sum(float(self._wants_stop)) == 0


def callbacks_of_rank(callback: Any, ranks: Ranks) -> list[BaseCallback]:
    """What ``learn`` was given, without what only rank 0 does.

    Args:
        callback: None, a callback, a list of them, or a function of the algorithm's locals and globals.
        ranks: The processes.
    """
    if callback is None:
        return []
    if isinstance(callback, CallbackList):
        callback = callback.callbacks
    if isinstance(callback, list):
        return [part for each in callback for part in callbacks_of_rank(each, ranks)]
    if not isinstance(callback, BaseCallback):
        callback = ConvertCallback(callback)
    looks_on = isinstance(callback, ONLOOKERS) or getattr(callback, "only_rank_0", False)
    return [callback] if ranks.is_first or not looks_on else []


def _rollout_steps(model: Any) -> int:
    """Steps of every environment from one update to the next."""
    return model.n_steps if isinstance(model, OnPolicyAlgorithm) else model.train_freq.frequency
