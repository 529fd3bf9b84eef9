"""A rollout buffer that stores each environment's tokens once and yields whole sequences."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from agents.buffers.observation_columns import ObservationColumns
from agents.networks.sequences import PackedSequences, SequenceStore
from lm_envs.errors import ConfigurationError
from lm_envs.inference.transfers import to_device


class SequenceRolloutBuffer(RolloutBuffer):
    """Rollout buffer for token environments: memory grows with the tokens, an update sees every token once.

    Pass it as ``rollout_buffer_class`` to PPO, A2C or another on-policy algorithm of Stable-Baselines3. A minibatch
    holds whole sequences, so its size in transitions is ``batch_size`` on average, not exactly; every transition is
    in exactly one minibatch of an epoch. ``observations`` of a sample is a
    :class:`~agents.networks.sequences.PackedSequences`, which the policies of this package evaluate in one pass per
    sequence. What observations hold beside tokens (``action_mask``, ``candidate_ids``) is in its ``columns``.

    Args:
        buffer_size: Number of steps per environment.
        observation_space: That of a token environment: a Dict with ``input_ids``, ``attention_mask`` and perhaps more.
        action_space: The action space.
        device: Where samples go.
        gae_lambda: Trade-off of bias and variance in generalised advantage estimation
            (`Schulman et al. 2016 <https://arxiv.org/abs/1506.02438>`_); 1 gives Monte-Carlo returns.
        gamma: Discount factor. Episodes of text are finite: 1.0 is the usual choice.
        n_envs: Number of environments.

    Raises:
        ConfigurationError: If the observation space is not that of a token environment.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: th.device | str = "auto",
        gae_lambda: float = 1,
        gamma: float = 0.99,
        n_envs: int = 1,
    ) -> None:
        max_tokens = observation_tokens(observation_space)
        self.store = SequenceStore(buffer_size, n_envs, max_tokens)
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def reset(self) -> None:
        """Empty the buffer."""
        shape = (self.buffer_size, self.n_envs)
        self.actions = np.zeros((*shape, self.action_dim), dtype=self.action_space.dtype)
        for name in ("rewards", "returns", "episode_starts", "values", "log_probs", "advantages"):
            setattr(self, name, np.zeros(shape, dtype=np.float32))
        self.store.clear()
        self._columns = ObservationColumns(self.observation_space)  # type: ignore[arg-type]
        self._stored_columns = self._columns.zeros(*shape)
        self.pos = 0
        self.full = False

    def add(  # type: ignore[override]
        self,
        obs: dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        episode_start: np.ndarray,
        value: th.Tensor,
        log_prob: th.Tensor,
    ) -> None:
        """Store one step of every environment.

        Args:
            obs: ``input_ids`` and ``attention_mask``, each ``(n_envs, max_tokens)``, and what else there is.
            action: ``(n_envs,)`` or ``(n_envs, 1)``.
            reward: ``(n_envs,)``.
            episode_start: ``(n_envs,)`` whether ``obs`` begins an episode.
            value: ``(n_envs,)`` or ``(n_envs, 1)``.
            log_prob: ``(n_envs,)``.
        """
        self.store.add(self.pos, obs["input_ids"], obs["attention_mask"], episode_start)
        for key, values in self._columns.compact(obs).items():
            self._stored_columns[key][self.pos] = values
        self.actions[self.pos] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[self.pos] = reward
        self.episode_starts[self.pos] = episode_start
        self.values[self.pos] = value.flatten().cpu().numpy()
        self.log_probs[self.pos] = log_prob.flatten().cpu().numpy()
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Yield the rollout once, in random minibatches of whole sequences.

        Args:
            batch_size: Number of transitions that a minibatch has on average; None for all in one.
        """
        if not self.full:
            raise RuntimeError(f"the rollout buffer holds {self.pos} of {self.buffer_size} steps; fill it before get()")
        total = self.buffer_size * self.n_envs
        n_batches = 1 if batch_size is None else -(-total // batch_size)
        order = np.random.permutation(self.store.n_rows)
        sizes = np.bincount(self.store.row_of.ravel(), minlength=self.store.n_rows)[order]
        middle = np.cumsum(sizes) - sizes / 2
        batch_of = (middle * n_batches / total).astype(np.int64)
        for batch in range(n_batches):
            chosen = order[batch_of == batch]
            if len(chosen):
                yield self._sequence_samples(chosen)

    def columns_at(self, indices: np.ndarray) -> dict[str, th.Tensor]:
        """What observations hold beside tokens: ``(n, ...)`` by key.

        Args:
            indices: ``(n,)`` flat indices ``step * n_envs + env`` of transitions.
        """
        flat = {key: values.reshape(-1, *values.shape[2:]) for key, values in self._stored_columns.items()}
        return self._columns.tensors({key: values[indices] for key, values in flat.items()}, self.device)

    def _sequence_samples(self, chosen: np.ndarray) -> RolloutBufferSamples:
        packed, indices = self.store.pack(chosen, self.device)
        packed.columns = self.columns_at(indices)
        return self._samples_at(packed, indices)

    def _samples_at(self, packed: PackedSequences, indices: np.ndarray) -> RolloutBufferSamples:
        columns = (self.actions, self.values, self.log_probs, self.advantages, self.returns)
        actions, values, log_probs, advantages, returns = (
            to_device(column.reshape(len(self.store.row_of) * self.n_envs, -1)[indices], self.device)
            for column in columns
        )
        return RolloutBufferSamples(
            observations=packed,  # type: ignore[arg-type]
            actions=actions,
            old_values=values.flatten(),
            old_log_prob=log_probs.flatten(),
            advantages=advantages.flatten(),
            returns=returns.flatten(),
        )

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        """Return the minibatch of all sequences that the given transitions lie in."""
        return self._sequence_samples(np.unique(self.store.row_of.ravel()[batch_inds]))


def observation_tokens(space: spaces.Space) -> int:
    """Length in tokens of an observation of a token environment.

    Raises:
        ConfigurationError: If ``space`` is another kind of space.
    """
    if isinstance(space, spaces.Dict) and {"input_ids", "attention_mask"} <= set(space.spaces):
        shape = space["input_ids"].shape
        if shape is not None and len(shape) == 1:
            return shape[0]
    raise ConfigurationError(
        "expected the observation space of a token environment, Dict(input_ids=Box((L,)), attention_mask=Box((L,))); "
        f"got {space}. Build the environment with make_lm_vec_env('TextGen-v0') or gym.make('TextGen-v0')."
    )
