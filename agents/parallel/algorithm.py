"""What a data-parallel algorithm does beside the algorithm itself."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from agents.parallel.callbacks import CallbacksInStep, callbacks_of_rank
from agents.parallel.gradients import GradientAverage
from agents.parallel.minibatches import MinibatchesInStep
from agents.parallel.ranks import Ranks
from agents.parallel.threshold import AgreedThreshold

logger = logging.getLogger(__name__)


@dataclass
class Parallel:
    """What a data-parallel algorithm holds; never saved.

    Attributes:
        ranks: The processes.
        gradients: Their gradients' mean.
        is_learning: Whether ``learn`` is under way.
        target_kl: The algorithm's own limit while an agreed one stands in for it, as long as it updates.
    """

    ranks: Ranks
    gradients: GradientAverage
    is_learning: bool = False
    target_kl: float | None = None

    def mean_of_minibatch(self, value: float) -> float:
        """The mean over the joined minibatch of what is a mean over this process's part of it."""
        return self.ranks.mean(value, self.gradients.weight)


class DataParallelAlgorithm(BaseAlgorithm):
    """Put in front of an algorithm's class by :func:`agents.data_parallel`, as torch's ``fully_shard`` does.

    Every method calls the algorithm's own, with what it needs to stay in step with the other processes.
    """

    _parallel: Parallel

    def learn(self, *args: Any, **kwargs: Any) -> Any:
        """See the algorithm; its arguments, ``total_timesteps`` too, are those of one process."""
        self._parallel.is_learning = True
        try:
            super().learn(*args, **kwargs)  # type: ignore[safe-super]
        finally:
            self.end_update()
            self._parallel.is_learning = False
        self._compare_parameters()
        return self

    def save(self, *args: Any, **kwargs: Any) -> None:
        """See the algorithm; rank 0 saves, and the others wait until it has, unless they are learning."""
        self._on_first(super().save, *args, **kwargs)

    def save_replay_buffer(self, *args: Any, **kwargs: Any) -> None:
        """As :meth:`save`, for algorithms that have a replay buffer."""
        self._on_first(super().save_replay_buffer, *args, **kwargs)  # type: ignore[misc]

    def set_logger(self, logger: Logger) -> None:
        """See the algorithm; rank 0 logs, the loggers of the others write nothing."""
        super().set_logger(logger if self._parallel.ranks.is_first else Logger(None, []))

    def _on_first(self, save: Any, *args: Any, **kwargs: Any) -> None:
        if self._parallel.ranks.is_first:
            save(*args, **kwargs)
        if not self._parallel.is_learning:  # while learning, a callback may save on rank 0 alone
            self._parallel.ranks.wait_for_first()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_parallel"]

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        reset_num_timesteps: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[int, BaseCallback]:
        told = {"total_timesteps": total_timesteps, "reset_num_timesteps": reset_num_timesteps}
        self._parallel.ranks.check_same({**told, "num_timesteps": self.num_timesteps})
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, *args, **kwargs)

    def _init_callback(self, callback: Any, progress_bar: bool = False) -> BaseCallback:
        ranks = self._parallel.ranks
        in_step = CallbacksInStep(callbacks_of_rank(callback, ranks), ranks)
        return super()._init_callback(in_step, progress_bar and ranks.is_first)

    def begin_update(self) -> None:
        """From a rollout's end on, minibatches and early stops are agreed on: what ``train`` reads says so."""
        algorithm: Any = self
        parallel = self._parallel
        buffer, parallel.target_kl = getattr(self, "rollout_buffer", None), getattr(self, "target_kl", None)
        if buffer is not None:
            buffer.get = MinibatchesInStep(buffer, parallel.gradients)
        if parallel.target_kl is not None:
            algorithm.target_kl = AgreedThreshold(parallel.target_kl, parallel.mean_of_minibatch)

    def end_update(self) -> None:
        """Undo what :meth:`begin_update` did."""
        algorithm: Any = self
        in_step = getattr(getattr(self, "rollout_buffer", None), "get", None)
        if isinstance(in_step, MinibatchesInStep):
            algorithm.rollout_buffer.get = in_step.own
        if self._parallel.target_kl is not None:
            algorithm.target_kl, self._parallel.target_kl = self._parallel.target_kl, None

    def _compare_parameters(self) -> None:
        """Say so where the processes have drifted apart: on unequal processors, or by a callback on one of them."""
        digest = hashlib.sha256()
        for value in self.policy.state_dict().values():
            digest.update(value.detach().cpu().contiguous().flatten().view(th.uint8).numpy())
        if len(set(self._parallel.ranks.gather(digest.hexdigest()))) > 1:
            logger.warning("The ranks' parameters are no longer equal to the last bit; those of rank 0 are saved.")
