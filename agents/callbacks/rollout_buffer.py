"""Another rollout buffer for programs that cannot name one."""

from __future__ import annotations

import importlib
from typing import Any

from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback

from lm_envs.errors import ConfigurationError


class RolloutBufferCallback(BaseCallback):
    """Give an on-policy algorithm another rollout buffer before it learns.

    For programs whose configuration files have no word for ``rollout_buffer_class``, such as RL-Zoo's. In Python pass
    ``rollout_buffer_class=`` to the algorithm instead.

    Args:
        rollout_buffer_class: Import path of the class, or the class.
        **rollout_buffer_kwargs: Further arguments of it, such as ``scale`` of :class:`~agents.GRPORolloutBuffer`.

    Raises:
        ConfigurationError: The algorithm has no rollout buffer.
    """

    def __init__(
        self,
        rollout_buffer_class: str | type[RolloutBuffer] = "agents.SequenceRolloutBuffer",
        **rollout_buffer_kwargs: Any,
    ) -> None:
        super().__init__()
        self._class = rollout_buffer_class
        self._kwargs = rollout_buffer_kwargs

    def _init_callback(self) -> None:
        model: Any = self.model
        if getattr(model, "rollout_buffer", None) is None:
            raise ConfigurationError(
                f"RolloutBufferCallback needs an on-policy algorithm; {type(model).__name__} has no rollout buffer."
            )
        made: Any = self._class
        if isinstance(made, str):
            module, _, name = made.rpartition(".")
            made = getattr(importlib.import_module(module), name)
        model.rollout_buffer = made(
            model.n_steps,
            model.observation_space,
            model.action_space,
            device=model.device,
            gamma=model.gamma,
            gae_lambda=model.gae_lambda,
            n_envs=model.n_envs,
            **self._kwargs,
        )

    def _on_step(self) -> bool:
        return True
