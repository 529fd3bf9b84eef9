"""Credit for single tokens: spread a reward that the environment paid at the episode's end."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.callbacks.rollout_advantages import recompute_advantages


class TokenRewardsCallback(BaseCallback):
    """Move each token's part of the reward from the episode's last step to the step that wrote the token.

    A reward that returns one number per token is paid as their sum when the episode ends; the list travels in
    ``info["token_rewards"]``. This callback gives every step of the rollout its own part and computes advantages
    again. Parts of steps that an earlier rollout held go to the episode's first step in this one, so that its return
    stays the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended: list[tuple[int, int, np.ndarray]] = []

    def _on_rollout_start(self) -> None:
        self._ended.clear()

    def _on_step(self) -> bool:
        step = self.locals["n_steps"]
        for env in np.flatnonzero(self.locals["dones"]):
            token_rewards = self.locals["infos"][env].get("token_rewards")
            if token_rewards is not None:
                self._ended.append((step, int(env), np.asarray(token_rewards, dtype=np.float32)))
        return True

    def _on_rollout_end(self) -> None:
        if not self._ended:
            return
        buffer: Any = self.locals["rollout_buffer"]
        for step, env, token_rewards in self._ended:
            spread(buffer.rewards[: step + 1, env], buffer.episode_starts[: step + 1, env], token_rewards)
        recompute_advantages(self)


def spread(rewards: np.ndarray, starts: np.ndarray, token_rewards: np.ndarray) -> None:
    """Spread an episode's token rewards over its steps, in place.

    Args:
        rewards: ``(n_steps,)`` rewards of one environment up to the episode's last step.
        starts: ``(n_steps,)`` whether a step begins an episode.
        token_rewards: ``(n_tokens,)`` one part for each action of the episode, from its beginning.
    """
    began = np.flatnonzero(starts > 0)
    n_here = len(rewards) - (int(began[-1]) if len(began) else 0)
    n_here = min(n_here, len(token_rewards))
    rewards[-1] -= token_rewards.sum()
    rewards[len(rewards) - n_here :] += token_rewards[len(token_rewards) - n_here :]
    rewards[len(rewards) - n_here] += token_rewards[: len(token_rewards) - n_here].sum()
