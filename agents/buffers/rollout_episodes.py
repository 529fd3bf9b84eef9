"""The episodes of a rollout: whose each transition is, how each began, and what it has earned so far."""

from __future__ import annotations

import numpy as np


class RolloutEpisodes:
    """Follows episodes through rollouts, also those that go on from one rollout into the next.

    Episodes are numbered within a rollout: first those that are under way when it begins, one for each environment,
    then the others in the order in which they begin.

    Args:
        n_steps: Steps of a rollout.
        n_envs: Number of environments.

    Attributes:
        of: ``(n_steps, n_envs)`` int64, the number of each transition's episode.
        prompts: By number, the tokens of the first observation as bytes; None where nobody saw the beginning.
    """

    def __init__(self, n_steps: int, n_envs: int) -> None:
        self.of = np.zeros((n_steps, n_envs), dtype=np.int64)
        self.prompts: list[bytes | None] = [None] * n_envs
        self._earned = [0.0] * n_envs  # before this rollout
        self._running = np.arange(n_envs)

    def add(self, step: int, obs: dict[str, np.ndarray], starts: np.ndarray) -> None:
        """Take note of one step.

        Args:
            step: Its number.
            obs: ``input_ids`` and ``attention_mask``, each ``(n_envs, max_tokens)``.
            starts: ``(n_envs,)`` whether the observation begins an episode.
        """
        for env in np.flatnonzero(starts):
            length = int(obs["attention_mask"][env].sum())
            self._running[env] = len(self.prompts)
            self.prompts.append(obs["input_ids"][env, :length].tobytes())
            self._earned.append(0.0)
        self.of[step] = self._running

    def returns(self, rewards: np.ndarray) -> np.ndarray:
        """What each episode has earned from its beginning on, undiscounted, ``(n_episodes,)`` float64.

        Args:
            rewards: ``(k, n_envs)`` those of the ``k`` steps so far.
        """
        numbers = self.of[: len(rewards)].ravel()
        return np.bincount(numbers, weights=rewards.ravel(), minlength=len(self.prompts)) + self._earned

    def finished(self, n_steps: int, dones: np.ndarray) -> np.ndarray:
        """Which episodes ended in this rollout and have a prompt that is known, ``(n_episodes,)`` bool.

        Args:
            n_steps: How many steps there are so far.
            dones: ``(n_envs,)`` whether the last step ended an episode.
        """
        present = np.bincount(self.of[:n_steps].ravel(), minlength=len(self.prompts)) > 0
        ended = np.ones(len(self.prompts), dtype=bool)
        ended[self._running] = dones
        known = np.array([prompt is not None for prompt in self.prompts])
        return present & ended & known

    def begin_rollout(self, rewards: np.ndarray) -> None:
        """Begin the next rollout, with the episodes that are under way.

        Args:
            rewards: ``(k, n_envs)`` the final ones of the rollout that is over.
        """
        returns = self.returns(rewards)
        self.prompts = [self.prompts[number] for number in self._running]
        self._earned = returns[self._running].tolist()
        self._running = np.arange(len(self._running))
