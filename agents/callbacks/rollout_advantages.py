"""Advantages of a rollout, computed again after a callback has changed its rewards."""

from __future__ import annotations

from typing import Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor


def recompute_advantages(callback: BaseCallback) -> None:
    """Compute returns and advantages at the end of a rollout, as the algorithm has just done.

    Args:
        callback: One that is called at the rollout's end, for what the algorithm told it.
    """
    buffer: Any = callback.locals["rollout_buffer"]
    values = last_values(callback.model, callback.locals)
    buffer.compute_returns_and_advantage(last_values=values, dones=callback.locals["dones"])


@th.no_grad()
def last_values(model: Any, told: dict[str, Any]) -> th.Tensor:
    """Values ``(n_envs,)`` of the observations that a rollout ended with.

    SB3's algorithms tell them; MaskablePPO does not, and there ``values`` are still those of the last step.
    """
    if told["n_steps"] == told["rollout_buffer"].buffer_size:
        return told["values"]
    return model.policy.predict_values(obs_as_tensor(told["new_obs"], model.device))
