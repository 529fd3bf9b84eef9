"""Rollout buffers that compare episodes of one prompt with each other: GRPO and RLOO on stock PPO."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces

from agents.buffers.rollout_episodes import RolloutEpisodes
from agents.buffers.sequence_rollout_buffer import SequenceRolloutBuffer
from agents.warn_once import warn_once
from lm_envs.environment_arguments import check_choice
from lm_envs.errors import ConfigurationError

SCALES = ("group", "batch", "none")


class GroupRelativeRolloutBuffer(SequenceRolloutBuffer):
    """What GRPO and RLOO have in common: an episode's advantage is its return, compared with others on its prompt.

    Episodes belong together whose first observations hold the same tokens; an environment with ``group_size=8`` begins
    eight in a row with each prompt. The return is the undiscounted sum of the episode's rewards as they stand in the
    buffer, with what callbacks made of them, and every token of the episode gets the same advantage. There is no
    critic: ``gamma``, ``gae_lambda`` and the values are not used.

    - An episode that began in an earlier rollout brings its prompt and what it has earned along.
    - An episode that is unfinished when the rollout ends has no return yet: its tokens of this rollout get the
      advantage 0, those that follow get theirs in the next. So a rollout should be several episodes long.
    - A group may end in two rollouts: episodes of one prompt that ended in the rollout before count in the comparison.
    - An episode that nothing can be compared with gets 0.

    For PPO: ``PPO(..., rollout_buffer_class=GRPORolloutBuffer, normalize_advantage=False, vf_coef=0.0, gamma=1.0)``.
    PPO averages its loss over the tokens of a minibatch, whatever episode they are of, as DAPO
    (`Yu et al. 2025 <https://arxiv.org/abs/2503.14476>`_) and Dr. GRPO do; GRPO's paper averages over each episode
    first, by which tokens of long episodes count less. ``returns`` hold the episode's return, and where it is not
    known yet the critic's value, so that explained variance and value loss are finite.

    Args:
        buffer_size: Number of steps per environment.
        observation_space: That of a token environment.
        action_space: The action space.
        device: Where samples go.
        gae_lambda: Not used.
        gamma: Not used; a warning is logged unless it is 1.
        n_envs: Number of environments.

    Attributes:
        group_stats: About the last rollout: ``size``, the mean number of episodes that one is compared with, itself
            included; ``spread``, the mean standard deviation of returns on one prompt; ``unfinished`` and ``alone``,
            the shares of tokens with the advantage 0 because their episode goes on, or has none beside it.

    Raises:
        ConfigurationError: The observation space is not that of a token environment. While training: fewer than half
            of the episodes have another one on the same prompt.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: th.device | str = "auto",
        gae_lambda: float = 1,
        gamma: float = 1.0,
        n_envs: int = 1,
    ) -> None:
        if gamma != 1:
            warn_once(f"{type(self).__name__} compares undiscounted returns and ignores gamma={gamma}: pass gamma=1.0.")
        self._episodes = RolloutEpisodes(buffer_size, n_envs)
        self._dones = np.zeros(n_envs, dtype=bool)
        self._former: dict[Any, list[float]] = {}  # returns of the rollout before, by prompt
        self._seen: Counter[Any] | None = Counter()  # prompts, until it is clear that there are groups
        self.group_stats: dict[str, float] = {}
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def reset(self) -> None:
        """Begin the next rollout; rewards of the one that is over are final now."""
        if self.pos:
            rewards = self.rewards[: self.pos]
            returns = self._episodes.returns(rewards)
            self._former = defaultdict(list)
            for number in np.flatnonzero(self._episodes.finished(self.pos, self._dones)):
                self._former[self._episodes.prompts[number]].append(returns[number])
            self._episodes.begin_rollout(rewards)
            self._dones = np.zeros(self.n_envs, dtype=bool)
        super().reset()

    def add(self, obs: dict[str, np.ndarray], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Store one step of every environment; see :meth:`SequenceRolloutBuffer.add`."""
        step = self.pos
        super().add(obs, *args, **kwargs)
        n_before = len(self._episodes.prompts)
        self._episodes.add(step, obs, self.episode_starts[step])
        if self._seen is not None:
            self._seen.update(self._episodes.prompts[n_before:])

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Compare the episodes that have ended; may be called again when rewards have changed.

        Args:
            last_values: Not used.
            dones: ``(n_envs,)`` whether the last step ended an episode.

        Raises:
            ConfigurationError: Episodes do not come in groups.
        """
        self._check_groups()
        self._dones = np.asarray(dones, dtype=bool)
        returns = self._episodes.returns(self.rewards)
        finished = self._episodes.finished(self.buffer_size, self._dones)
        groups = self._groups(returns, finished)
        advantages, compared = np.zeros(len(returns)), np.zeros(len(returns), dtype=bool)
        for members, known in groups:
            if len(known) > 1:
                advantages[members] = self._compare(known)[: len(members)]
                compared[members] = True
        if groups:
            advantages /= self._scale(np.concatenate([known for _, known in groups]))
        of = self._episodes.of
        self.advantages = advantages[of].astype(np.float32)
        self.returns = np.where(finished[of], returns[of], self.values).astype(np.float32)
        self.group_stats = {
            "size": _mean([len(known) for members, known in groups for _ in members]),
            "spread": _mean([known.std(ddof=1) for _, known in groups if len(known) > 1]),
            "unfinished": float(1 - finished[of].mean()),
            "alone": float((finished & ~compared)[of].mean()),
        }

    def _groups(self, returns: np.ndarray, finished: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
        """For each prompt the episodes that ended now, and the returns of these and then of the former ones."""
        members: dict[Any, list[int]] = defaultdict(list)
        for number in np.flatnonzero(finished).tolist():
            members[self._episodes.prompts[number]].append(number)
        return [
            (numbers, np.array([*returns[numbers], *self._former.get(prompt, ())]))
            for prompt, numbers in members.items()
        ]

    @abstractmethod
    def _compare(self, returns: np.ndarray) -> np.ndarray:
        """Advantages ``(n,)`` of at least two episodes on one prompt, out of their returns ``(n,)``."""

    def _scale(self, returns: np.ndarray) -> float:
        """What all advantages are divided by; ``returns`` are all that are known, ``(n,)``."""
        return 1.0

    def _check_groups(self) -> None:
        """Once so many episodes have begun that there must have been groups, if there are any."""
        if self._seen is None or self._seen.total() <= 2 * self.n_envs:
            return
        total, together = self._seen.total(), sum(count for count in self._seen.values() if count > 1)
        if 2 * together < total:
            raise ConfigurationError(
                f"{type(self).__name__} compares episodes that begin with the same prompt: expected groups of "
                f"episodes on one prompt, got {total} episodes of which {total - together} have a prompt to "
                "themselves. Let the environment hand out each prompt several times: pass env_kwargs=dict(group_size=8)"
                " to make_lm_vec_env, or group_size=8 to the environment."
            )
        self._seen = None


class GRPORolloutBuffer(GroupRelativeRolloutBuffer):
    """Group relative policy optimisation, GRPO, as a rollout buffer for stock PPO.

    The advantage of an episode with the return R is ``(R - mean) / (std + eps)`` over the episodes of its group
    (`Shao et al. 2024 <https://arxiv.org/abs/2402.03300>`_, section 4.1); ``std`` is the sample standard deviation. A
    penalty on divergence comes with the rewards (:class:`~agents.ReferenceKLCallback`), and so into R, instead of into
    the loss. See :class:`GroupRelativeRolloutBuffer` for what is a group, and for episodes that outlast a rollout.

    Args:
        buffer_size: Number of steps per environment.
        observation_space: That of a token environment.
        action_space: The action space.
        device: Where samples go.
        gae_lambda: Not used.
        gamma: Not used; a warning is logged unless it is 1.
        n_envs: Number of environments.
        scale: What advantages are divided by: ``"group"``, the standard deviation of the group's returns; ``"batch"``,
            that of all returns of the rollout; ``"none"``, nothing, as in Dr. GRPO
            (`Liu et al. 2025 <https://arxiv.org/abs/2503.20783>`_), by which easy and hard prompts do not weigh more.
        eps: What is added to a standard deviation.

    Raises:
        ConfigurationError: As :class:`GroupRelativeRolloutBuffer`; or ``eps`` is not above 0.
        UnknownNameError: There is no such ``scale``.
    """

    def __init__(self, *args: Any, scale: str = "group", eps: float = 1e-4, **kwargs: Any) -> None:
        check_choice("scale", scale, SCALES)
        if not eps > 0:
            raise ConfigurationError(f"eps must be above 0, or equal returns would be divided by 0; got {eps!r}.")
        self.scale = scale
        self.eps = eps
        super().__init__(*args, **kwargs)

    def _compare(self, returns: np.ndarray) -> np.ndarray:
        difference = returns - returns.mean()
        return difference / (returns.std(ddof=1) + self.eps) if self.scale == "group" else difference

    def _scale(self, returns: np.ndarray) -> float:
        return returns.std(ddof=1) + self.eps if self.scale == "batch" and len(returns) > 1 else 1.0


class RLOORolloutBuffer(GroupRelativeRolloutBuffer):
    """REINFORCE leave-one-out, RLOO, as a rollout buffer for stock PPO.

    The advantage of an episode is its return minus the mean return of the others of its group
    (`Ahmadian et al. 2024 <https://arxiv.org/abs/2402.14740>`_, section 2.2): an unbiased baseline. With PPO's clipping
    a rollout may be used for several updates. See :class:`GroupRelativeRolloutBuffer` for what is a group, and for
    episodes that outlast a rollout, and for the arguments.
    """

    def _compare(self, returns: np.ndarray) -> np.ndarray:
        return (returns - returns.mean()) * len(returns) / (len(returns) - 1)


def _mean(values: list[Any]) -> float:
    return float(np.mean(values)) if values else 0.0
