"""A replay buffer that stores each episode's tokens once and samples whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from agents.buffers.episode_ring import EpisodeRing
from agents.buffers.observation_columns import ObservationColumns
from agents.buffers.replay_batch import ReplayBatch
from agents.buffers.replay_priorities import SequencePriorities, TDObserver
from agents.buffers.sequence_rollout_buffer import observation_tokens
from agents.networks.action_kinds import number_of_actions
from lm_envs.errors import CheckpointError, ConfigurationError


class SequenceReplayBuffer(ReplayBuffer):
    """Replay buffer for token environments: memory grows with the tokens, an update sees every sequence once.

    Pass it as ``replay_buffer_class`` to DQN or QR-DQN with an :class:`~agents.LMQPolicy`. An observation is a prefix
    of its episode, so the episode is stored, once, instead of every prefix of it twice. A batch holds all transitions
    of randomly drawn sequences (of the last one, a random part), so that one pass over the sequences gives the values
    of all observations and, by the target network, one pass those of all next observations. Episodes that are still
    running are drawn, too, up to their last complete transition.

    Transitions of one sequence are correlated: a batch of 1,024 transitions from 32 sequences is what 32 independent
    transitions are elsewhere. Choose ``batch_size`` accordingly.

    Args:
        buffer_size: Capacity in tokens, prompts included. The oldest episodes make room for new ones.
        observation_space: That of a token environment.
        action_space: ``Discrete``.
        device: Where samples go.
        n_envs: Number of environments.
        optimize_memory_usage: Not supported, and not needed: nothing is stored twice.
        handle_timeout_termination: Whether to bootstrap where an episode was truncated, as SB3 does.
        n_steps: Length of the returns in transitions
            (`Sutton 1988 <https://doi.org/10.1007/BF00115009>`_); needs ``gamma``.
        gamma: Discount factor, the algorithm's. SB3 does not tell it to buffers; needed for ``n_steps > 1`` and
            ``prioritized``.
        prioritized: Whether to draw sequences in proportion to the sum of their TD errors instead of uniformly
            (`Schaul et al. 2016 <https://arxiv.org/abs/1511.05952>`_); works with :class:`~agents.LMQPolicy`.
        alpha: Exponent of the priorities.
        beta: Exponent of the importance weights.
        token_rewards: Whether to spread ``info["token_rewards"]`` over the steps of an episode that ends.

    Raises:
        ConfigurationError: For a capacity below one episode, an argument that cannot work, or spaces of another kind
            of environment.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: th.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_steps: int = 1,
        gamma: float | None = None,
        prioritized: bool = False,
        alpha: float = 0.6,
        beta: float = 0.4,
        token_rewards: bool = False,
    ) -> None:
        self._max_tokens = observation_tokens(observation_space)
        _check_arguments(buffer_size, action_space, optimize_memory_usage, self._max_tokens)
        _check_returns(n_steps, gamma, prioritized)
        _check_exponents(alpha, beta)
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.n_steps = n_steps
        self.gamma = gamma
        self.priorities = SequencePriorities(alpha, beta) if prioritized else None
        self.token_rewards = token_rewards
        self._token_positions = np.arange(self._max_tokens)
        self._make_empty()

    def _make_empty(self) -> None:
        assert isinstance(self.observation_space, spaces.Dict)
        self.columns = ObservationColumns(self.observation_space)
        number = np.min_scalar_type(number_of_actions(self.action_space) - 1)
        own: dict[str, tuple[Any, tuple[int, ...]]] = {"actions": (number, ()), "rewards": (np.float32, ())}
        self.ring = EpisodeRing(self.buffer_size, self.n_envs, self._max_tokens, {**own, **self.columns.layout})

    def reset(self) -> None:
        """Empty the buffer."""
        self._make_empty()

    def size(self) -> int:
        """Number of transitions."""
        return self.ring.n_transitions + int(self.ring.running["n_transitions"].sum())

    @property
    def full(self) -> bool:
        """Whether old episodes have been dropped."""
        return self.ring.full

    @full.setter
    def full(self, value: bool) -> None:
        """Ignore what the base class sets at construction."""

    @property
    def nbytes(self) -> int:
        """Memory of everything that grows with the capacity, in bytes."""
        return self.ring.nbytes + self.columns.nbytes

    # -- storing ----------------------------------------------------------------------------------------------------

    def add(  # type: ignore[override]
        self,
        obs: dict[str, np.ndarray],
        next_obs: dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one step of every environment.

        Args:
            obs: ``input_ids`` and ``attention_mask``, each ``(n_envs, max_tokens)``, and what else there is.
            next_obs: The same; where ``done``, the episode's last observation.
            action: ``(n_envs,)`` or ``(n_envs, 1)``.
            reward: ``(n_envs,)``.
            done: ``(n_envs,)``.
            infos: ``n_envs`` of them; ``"TimeLimit.truncated"`` tells truncation from termination.

        Raises:
            CheckpointError: If the observations are not of the buffer's environment, as with a buffer that was saved
                for another one.
        """
        self._check_observations(obs)
        lengths = obs["attention_mask"].sum(axis=1, dtype=np.int64)
        self._begin_where_new(obs, lengths)
        ring = self.ring
        places = ring.last_places()
        ring.columns["actions"][places] = action.reshape(self.n_envs)
        ring.columns["rewards"][places] = reward
        ring.decide(places)
        next_lengths = next_obs["attention_mask"].sum(axis=1, dtype=np.int64)
        same = (obs["input_ids"] == next_obs["input_ids"]) | (self._token_positions >= lengths[:, None])
        extends = same.all(axis=1) & (next_lengths > lengths)
        self._extend(extends, next_obs["input_ids"], lengths, next_lengths)
        self._store_columns(np.flatnonzero(extends), ring.last_places(), next_obs)
        for env in np.flatnonzero(~extends | (done > 0)).tolist():
            self._finish(env, extends[env], bool(done[env]), next_obs, next_lengths[env], infos[env])

    def _check_observations(self, obs: dict[str, np.ndarray]) -> None:
        expected = self.observation_space.spaces  # type: ignore[attr-defined]
        shapes = {key: (self.n_envs, *space.shape) for key, space in expected.items()}
        got = {key: np.shape(value) for key, value in obs.items()}
        if got != shapes:
            raise CheckpointError(
                f"the replay buffer holds episodes of another environment: it expects observations {shapes}, got "
                f"{got}. If it was loaded with load_replay_buffer(), it was saved with another environment or another "
                "number of environments: build the same one (max_prompt_tokens, max_new_tokens, wrappers, n_envs)."
            )

    def _begin_where_new(self, obs: dict[str, np.ndarray], lengths: np.ndarray) -> None:
        """Begin a segment where none runs, or where the observation is not the one that the last step led to."""
        running = self.ring.running
        window = np.minimum(running["start"][:, None] + self._token_positions, len(self.ring.tokens) - 1)
        stored = self.ring.tokens[window]
        differs = ((stored != obs["input_ids"]) & (self._token_positions < lengths[:, None])).any(axis=1)
        new = np.flatnonzero(differs | (running["n_tokens"] != lengths))
        for env in new.tolist():
            if running["n_transitions"][env]:  # somebody reset the environment in the middle of an episode
                self.ring.finish(env, terminated=False, priority=self._new_priority())
            self.ring.begin(env, obs["input_ids"][env, : lengths[env]])
        self._store_columns(new, self.ring.last_places(), obs)

    def _extend(self, extends: np.ndarray, next_ids: np.ndarray, lengths: np.ndarray, next_lengths: np.ndarray) -> None:
        by_one = np.flatnonzero(extends & (next_lengths == lengths + 1))
        self.ring.append_one(by_one, next_ids[by_one, lengths[by_one]])
        for env in np.flatnonzero(extends & (next_lengths > lengths + 1)).tolist():
            self.ring.append(env, next_ids[env, lengths[env] : next_lengths[env]])

    def _store_columns(self, envs: np.ndarray, places: np.ndarray, obs: dict[str, np.ndarray]) -> None:
        """Store what observations hold beside tokens at the places of their last tokens."""
        if self.columns.layout and len(envs):
            stored = self.columns.compact({key: obs[key][envs] for key in self.columns.layout})
            for key, values in stored.items():
                self.ring.columns[key][places[envs]] = values

    def _finish(
        self,
        env: int,
        extends: bool,
        done: bool,
        next_obs: dict[str, np.ndarray],
        next_length: int,
        info: dict[str, Any],
    ) -> None:
        """Close a segment at an episode's end, or where the next observation does not extend the last one."""
        truncated = self.handle_timeout_termination and info.get("TimeLimit.truncated", False)
        terminated = done and not truncated
        if done and self.token_rewards and "token_rewards" in info:
            self._spread(env, np.asarray(info["token_rewards"]))
        after = None if extends or terminated else next_obs["input_ids"][env, :next_length]
        last = self.ring.finish(env, terminated, self._new_priority(), after)
        if after is None:
            return
        self._store_columns(np.array([env]), np.full(self.n_envs, last), next_obs)
        if not done:
            self.ring.begin(env, after)
            self._store_columns(np.array([env]), self.ring.last_places(), next_obs)

    def _spread(self, env: int, token_rewards: np.ndarray) -> None:
        """Move the parts of the return that came with the last step to the steps that earned them."""
        record = self.ring.running[env]
        steps = record["start"] + np.flatnonzero(self.ring.decides[record["start"] :][: record["n_tokens"]])
        rewards = self.ring.columns["rewards"]
        of_segment = token_rewards[-len(steps) :]
        rewards[steps[-1]] -= of_segment.sum()
        rewards[steps] += of_segment

    def _new_priority(self) -> float:
        return 1.0 if self.priorities is None else self.priorities.highest

    # -- sampling ---------------------------------------------------------------------------------------------------

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Draw sequences that have ``batch_size`` transitions together.

        Args:
            batch_size: Number of transitions, exactly: of the last sequence drawn a random part is taken. Where the
                buffer holds fewer, sequences are repeated.
            env: Normalises rewards, as in SB3.

        Returns:
            SB3's samples; ``observations`` and ``next_observations`` are
            :class:`~agents.networks.sequences.PackedSequences`, all else is ``(batch_size, 1)``.
        """
        numbers, records, probabilities = self._draw(batch_size)
        batch = ReplayBatch(self.ring, numbers, records, probabilities, batch_size, self.n_steps)
        rewards = batch.returns(lambda rewards: self._normalize_reward(rewards, env), self.gamma)
        observations, next_observations = batch.packed(self.device, self._columns_at)
        observations.vocab_size = int(self.observation_space["input_ids"].high[0]) + 1  # type: ignore[index]
        next_observations.vocab_size = observations.vocab_size
        discounts = None if self.n_steps == 1 else self.to_torch(self._discounts(batch))
        samples = ReplayBufferSamples(
            observations=observations,  # type: ignore[arg-type]
            actions=self.to_torch(batch.column("actions").astype(np.int64)[:, None]),
            next_observations=next_observations,  # type: ignore[arg-type]
            dones=self.to_torch(batch.dones.astype(np.float32)[:, None]),
            rewards=self.to_torch(rewards.astype(np.float32)[:, None]),
            discounts=discounts,
        )
        if self.priorities is not None:
            self._observe(batch, samples)
        return samples

    def _draw(self, batch_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Segments until they have ``batch_size`` transitions: numbers in the ring or -1, records, probabilities."""
        running = self.ring.running[self.ring.running["n_transitions"] > 0]
        n_finished = self.ring.n_segments
        total = n_finished + len(running)
        if total == 0:
            raise ConfigurationError("the replay buffer is empty; collect transitions before sampling.")
        if self.priorities is None:
            probabilities = None
        else:
            finished = self.ring.finished(np.arange(n_finished))["priority"]
            priorities = np.concatenate([finished, np.full(len(running), self.priorities.highest)])
            probabilities = self.priorities.probabilities(priorities)
        drawn, n_drawn = np.zeros(0, dtype=np.int64), 0
        while n_drawn < batch_size:
            drawn = np.concatenate([drawn, self._draw_numbers(total, batch_size - n_drawn, probabilities)])
            records = np.concatenate([self.ring.finished(drawn[drawn < n_finished]), running])
            order = np.where(drawn < n_finished, np.cumsum(drawn < n_finished) - 1, drawn - total)
            records = records[order]
            n_drawn = int(records["n_transitions"].sum())
        needed = int(np.searchsorted(np.cumsum(records["n_transitions"]), batch_size)) + 1
        drawn, records = drawn[:needed], records[:needed]
        chances = np.full(needed, 1 / total) if probabilities is None else probabilities[drawn]
        return np.where(drawn < n_finished, drawn, -1), records, chances

    def _draw_numbers(self, total: int, n_transitions: int, probabilities: np.ndarray | None) -> np.ndarray:
        """Some segments; without priorities no segment twice."""
        count = min(total, 2 + int(1.25 * n_transitions * total / max(self.size(), 1)))
        if probabilities is not None:
            return np.random.choice(total, size=count, p=probabilities)
        if 4 * count > total:
            return np.random.permutation(total)[:count]
        drawn, first = np.unique(np.random.randint(total, size=count), return_index=True)
        return drawn[np.argsort(first)]

    def _columns_at(self, places: np.ndarray, ended: np.ndarray) -> dict[str, th.Tensor]:
        """What observations hold beside tokens; where the episode has ``ended`` every action is legal."""
        stored = {key: self.ring.columns[key][places] for key in self.columns.layout}
        found = self.columns.tensors(stored, self.device)
        if "action_mask" in found and ended.any():
            found["action_mask"] = found["action_mask"] | self.to_torch(ended)[:, None]
        return found

    def _discounts(self, batch: ReplayBatch) -> np.ndarray:
        return (np.float64(self.gamma or 1.0) ** batch.n_steps_taken).astype(np.float32)[:, None]

    def _observe(self, batch: ReplayBatch, samples: ReplayBufferSamples) -> None:
        """Let the networks' values, when they are computed, set priorities."""
        assert self.priorities is not None
        weights = self.priorities.weights(batch.probabilities)
        observer = TDObserver(
            ring=self.ring,
            priorities=self.priorities,
            numbers=batch.numbers,
            shares=batch.shares,
            segment_of=self.to_torch(batch.segment_of),
            weights=self.to_torch(weights[batch.segment_of]),
            actions=samples.actions,
            rewards=samples.rewards,
            discounts=self.to_torch(self._discounts(batch)) * (1 - samples.dones),
        )
        samples.observations.observer = observer.see_current  # type: ignore[attr-defined]
        samples.next_observations.observer = observer.see_next  # type: ignore[attr-defined]

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        """Refuse: a single transition would cost as much as its whole sequence."""
        raise NotImplementedError("SequenceReplayBuffer samples whole sequences: call sample(batch_size).")


def _check_arguments(buffer_size: int, action_space: spaces.Space, optimize: bool, max_tokens: int) -> None:
    if optimize:
        raise ConfigurationError(
            "SequenceReplayBuffer does not take optimize_memory_usage=True: it stores every token once already. "
            "Leave it False."
        )
    number_of_actions(action_space)
    if buffer_size < 2 * max_tokens:  # where an episode is cut or rewritten, the observation after it is kept as well
        raise ConfigurationError(
            f"buffer_size={buffer_size} is less than one episode, which may take {2 * max_tokens} tokens, twice an "
            f"observation. The capacity of a SequenceReplayBuffer counts tokens, prompts included: about {max_tokens} "
            "times the number of episodes to keep."
        )


def _check_exponents(alpha: float, beta: float) -> None:
    if not (alpha >= 0 and beta >= 0):
        raise ConfigurationError(f"alpha and beta must be at least 0; got alpha={alpha}, beta={beta}.")


def _check_returns(n_steps: int, gamma: float | None, prioritized: bool) -> None:
    if n_steps < 1:
        raise ConfigurationError(f"n_steps must be at least 1; got {n_steps}.")
    if gamma is None and (n_steps > 1 or prioritized):
        raise ConfigurationError(
            "n_steps > 1 and prioritized=True need the discount factor, which SB3 does not tell to buffers: pass "
            "replay_buffer_kwargs=dict(..., gamma=...) with the algorithm's gamma."
        )
