"""A penalty that keeps the policy close to the pretrained model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback

from agents.buffers.observation_columns import rows_at_once
from agents.buffers.rollout_sequences import rollout_columns, rollout_sequences
from agents.callbacks.rollout_advantages import recompute_advantages
from agents.networks.action_logits import action_log_probs
from agents.networks.language_model import LanguageModel
from agents.parallel.ranks import mean_over_ranks
from agents.policies.actor_critic import LMActorCriticPolicy
from lm_envs.errors import ConfigurationError
from lm_envs.inference.output_layer import OutputLayer


class ReferenceKLCallback(BaseCallback):
    """Subtract ``coef * (log_prob - reference_log_prob)`` from the reward of every token.

    At the end of a rollout the sequences are scored under the frozen reference in one teacher-forced pass, rewards
    are reduced, and advantages are computed again
    (`Ziegler et al. 2019 <https://arxiv.org/abs/1909.08593>`_, section 2.2). With ``target`` the coefficient follows
    the measured KL divergence; without it stays fixed. Where the actions are candidates, or some are illegal, the
    reference's distribution too is the one over the candidates and legal actions. With ``trainable="lora"`` or
    ``"heads"`` the reference is the policy's own model with the adapter off: the weights are there once. Logged under
    ``kl/``: the estimators ``k1`` (mean of ``log_prob - reference_log_prob``) and ``k3`` (``exp(-r) - 1 + r``, never
    negative; `Schulman 2020 <http://joschu.net/blog/kl-approx.html>`_) per token, ``episode`` in nats per episode,
    ``coef``, and the mean penalty per episode.

    Args:
        coef: Penalty per nat; the starting value where ``target`` is given.
        target: KL divergence in nats per episode that the coefficient is steered to; None keeps ``coef`` fixed.
        horizon: Number of steps over which a relative error of 0.2 changes the coefficient by a factor of about 1.2.
        coef_range: Bounds of the adapted coefficient, so that it cannot wind up while a target is out of reach.
        model: Name of the reference; None for the policy's own pretrained model.

    Attributes:
        episode_kl: The last rollout's KL divergence in nats per episode; under :func:`agents.data_parallel` the mean
            over all processes, so that the coefficient is the same on all.

    Raises:
        ConfigurationError: For a negative ``coef``, a ``target`` or ``horizon`` that is not positive, or an algorithm
            that has no language model policy or no rollout buffer, or actions that are no tokens.
    """

    def __init__(
        self,
        coef: float = 0.05,
        target: float | None = None,
        horizon: int = 10_000,
        coef_range: tuple[float, float] = (1e-4, 1.0),
        model: str | None = None,
    ) -> None:
        super().__init__()
        if coef < 0 or (target is not None and target <= 0) or horizon <= 0:
            raise ConfigurationError(
                f"expected coef >= 0, target > 0 or None, horizon > 0; got coef={coef}, target={target}, "
                f"horizon={horizon}."
            )
        if target is not None and not 0 < coef_range[0] <= coef <= coef_range[1]:
            raise ConfigurationError(f"with a target, coef={coef} must start within coef_range={coef_range}, above 0.")
        self.coef = coef
        self.target = target
        self.horizon = horizon
        self.coef_range = coef_range
        self.model_name = model
        self.episode_kl = 0.0
        self._reference: LanguageModel | None = None

    def _init_callback(self) -> None:
        policy, buffer = self.model.policy, getattr(self.model, "rollout_buffer", None)
        if not isinstance(policy, LMActorCriticPolicy) or buffer is None:
            raise ConfigurationError(
                "ReferenceKLCallback needs an on-policy algorithm with an LMActorCriticPolicy; got "
                f"{type(self.model).__name__} with {type(policy).__name__}."
            )
        if policy.actions_are == "choices":
            raise ConfigurationError(
                "ReferenceKLCallback compares distributions over tokens; this environment's actions are "
                f"{policy.action_space.n} choices of another kind, of which the reference knows nothing. Leave it out."  # type: ignore[attr-defined]
            )
        self._reference = self._find_reference(policy)
        if self._reference.vocab_size != policy.actor.vocab_size:
            raise ConfigurationError(
                f"the reference {self.model_name!r} has another vocabulary than the policy's model."
            )

    def _find_reference(self, policy: LMActorCriticPolicy) -> LanguageModel:
        """The policy's own model, where its pretrained weights stay as they are; else one beside it."""
        name = self.model_name or policy.model_name
        if name == policy.model_name and policy.trainable in ("lora", "heads"):
            assert isinstance(policy.actor, LanguageModel)
            return policy.actor
        return LanguageModel(name, "heads", policy.dtype_name, policy.device)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.locals["rollout_buffer"]
        log_ratio = buffer.log_probs - self._reference_log_probs(buffer)
        episode_kl = _mean_episode_sum(log_ratio, buffer.episode_starts, self.locals["dones"])
        episode_kl = mean_over_ranks(self.model, episode_kl)
        buffer.rewards -= (self.coef * log_ratio).astype(np.float32)
        recompute_advantages(self)
        self._log(log_ratio, episode_kl)
        self.episode_kl = episode_kl
        if self.target is not None:
            error = np.clip(episode_kl / self.target - 1.0, -0.2, 0.2)
            self.coef = float(np.clip(self.coef * np.exp(error * log_ratio.size / self.horizon), *self.coef_range))

    def _log(self, log_ratio: np.ndarray, episode_kl: float) -> None:
        record = self.logger.record
        record("kl/k1", float(log_ratio.mean()))
        record("kl/k3", float((np.expm1(-log_ratio) + log_ratio).mean()))
        record("kl/episode", episode_kl)
        record("kl/coef", self.coef)
        record("kl/penalty", self.coef * episode_kl)

    @th.no_grad()
    def _reference_log_probs(self, buffer: RolloutBuffer) -> np.ndarray:
        """Log-probabilities ``(n_steps, n_envs)`` of the rollout's actions under the reference."""
        assert self._reference is not None
        policy: Any = self.model.policy
        layer = self._reference.output_layer
        layer = OutputLayer(layer.weight, layer.bias, layer.scale / policy.temperature, layer.softcap)
        store = rollout_sequences(buffer)
        actions = th.as_tensor(buffer.actions.reshape(-1), dtype=th.int64, device=policy.device)
        result = np.empty(actions.shape[0], dtype=np.float32)
        pass_tokens = PASS_TOKENS.get(policy.device.type, PASS_TOKENS["cuda"])
        for chosen in store.parts(rows_at_once(pass_tokens, policy.observation_space)):
            packed, indices = store.pack(chosen, policy.device)
            with self._reference.adapter_off():
                hidden = packed.transition_hidden(self._reference)
            chosen_actions = actions[th.as_tensor(indices, device=policy.device)]
            log_probs, _ = action_log_probs(layer, hidden, chosen_actions, rollout_columns(buffer, indices))
            result[indices] = log_probs.cpu().numpy()
        return result.reshape(buffer.log_probs.shape)


PASS_TOKENS = {"cpu": 2**12, "cuda": 2**14}
"""Tokens, padding included, that the reference scores in one pass: what a core's caches hold, what fills a GPU."""


def _mean_episode_sum(values: np.ndarray, starts: np.ndarray, dones: np.ndarray) -> float:
    """Mean over complete episodes of the sum of ``values`` ``(n_steps, n_envs)``; over all parts where none is."""
    n_steps, n_envs = values.shape
    number = np.cumsum(starts > 0, axis=0)  # 0 for an episode that began in an earlier rollout
    key = (number + (n_steps + 1) * np.arange(n_envs)).ravel()
    sums = np.bincount(key, weights=values.ravel())
    present = np.bincount(key) > 0
    began = np.arange(len(sums)) % (n_steps + 1) > 0
    last = number[-1] + (n_steps + 1) * np.arange(n_envs)
    ended = np.ones(len(sums), dtype=bool)
    ended[last] = dones
    complete = present & began & ended
    return float(sums[complete if complete.any() else present].mean())
