"""Stop training when the policy has drifted too far from the pretrained model."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from agents.callbacks.reference_kl import ReferenceKLCallback
from lm_envs.errors import ConfigurationError

logger = logging.getLogger(__name__)


class StopOnKL(BaseCallback):
    """Stop training when a rollout's KL divergence from the reference exceeds a limit.

    The divergence is what :class:`~agents.ReferenceKLCallback` measures, in nats per episode; put that one before this
    one, with ``coef=0`` for no penalty. An algorithm updates its policy once more after the rollout that was too much:
    that update is undone, so the policy that is left is the one that was measured.

    Args:
        limit: Nats per episode.
        patience: How many rollouts in a row must exceed it.

    Attributes:
        n_over: How many have, up to now.
        reason: Why training was stopped; empty before.

    Raises:
        ConfigurationError: ``limit`` is not above 0 or ``patience`` not an integer of at least 1; or nothing before
            this callback measures the divergence.
    """

    def __init__(self, limit: float, patience: int = 1) -> None:
        super().__init__()
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
            raise ConfigurationError(f"limit must be a number of nats above 0; got {limit!r}.")
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ConfigurationError(f"patience must be an integer of at least 1; got {patience!r}.")
        self.limit = limit
        self.patience = patience
        self.n_over = 0
        self.reason = ""
        self._measured: dict[str, Any] | None = None  # the algorithm's parameters, until the update is undone

    @property
    def stopped(self) -> bool:
        """Whether training has been stopped."""
        return bool(self.reason)

    def _on_training_start(self) -> None:
        before: list[BaseCallback] = []
        for callback in _flat(self.locals["callback"]):
            if callback is self:
                break
            before.append(callback)
        measuring = [callback for callback in before if isinstance(callback, ReferenceKLCallback)]
        if not measuring:
            raise ConfigurationError(
                "StopOnKL reads the divergence that ReferenceKLCallback measures: expected one before it among the "
                f"callbacks, got {[type(callback).__name__ for callback in before]}. Pass callback=["
                "ReferenceKLCallback(coef=0.05), StopOnKL(...)]; coef=0 measures without a penalty."
            )
        self._kl = measuring[-1]

    def _on_rollout_end(self) -> None:
        divergence = self._kl.episode_kl
        self.n_over = self.n_over + 1 if not divergence <= self.limit else 0  # also nan
        if self.n_over >= self.patience:
            self.reason = (
                f"stopped after {self.model.num_timesteps:,} steps: a KL divergence of {divergence:.1f} nats per "
                f"episode is above the limit of {self.limit:g}"
            )
            logger.warning("%s.", self.reason)
            self._measured = copy.deepcopy(self.model.get_parameters())

    def _on_rollout_start(self) -> None:
        self._undo_update()

    def _on_step(self) -> bool:
        return not self.stopped

    def _on_training_end(self) -> None:
        self._undo_update()

    def _undo_update(self) -> None:
        if self._measured is not None:
            self.model.set_parameters(self._measured, device=self.model.device)
            self._measured = None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"n_over": self.n_over, "reason": self.reason}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken: what was stopped stays stopped."""
        self.n_over, self.reason = state["n_over"], state["reason"]


def _flat(callback: BaseCallback) -> Iterator[BaseCallback]:
    """The callbacks in a list, and in the lists in it, in the order in which they are called."""
    if isinstance(callback, CallbackList):
        for part in callback.callbacks:
            yield from _flat(part)
    else:
        yield callback
