"""When the masking policy of NLPO follows the policy."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from agents.policies.nlpo_policy import LMNLPOPolicy
from lm_envs.errors import ConfigurationError


class NLPOMaskCallback(BaseCallback):
    """Copy the policy into the masking policy of :class:`~agents.LMNLPOPolicy` every few rollouts.

    It happens when a rollout starts, so that a rollout and the updates that follow it use one mask. Which rollouts
    these are follows from the step count, so that a run that goes on from a checkpoint keeps to the same ones.
    ``nlpo/mask_updates`` is logged, their number so far in this call of ``learn``.

    Args:
        update_every: Rollouts from one copy to the next. The mask is the nucleus of a policy that is at most so many
            updates old: a small number lets it follow, a large one keeps to what the policy thought likely before
            (`Ramamurthy et al. 2023 <https://arxiv.org/abs/2210.01241>`_, section 4.2).

    Attributes:
        n_updates: Copies so far in this call of ``learn``.

    Raises:
        ConfigurationError: ``update_every`` is no integer of at least 1, or the policy is another one.
    """

    def __init__(self, update_every: int = 10) -> None:
        super().__init__()
        if isinstance(update_every, bool) or not isinstance(update_every, int) or update_every < 1:
            raise ConfigurationError(f"update_every must be an integer of at least 1; got {update_every!r}.")
        self.update_every = update_every
        self.n_updates = 0

    def _init_callback(self) -> None:
        policy = self.model.policy
        if not isinstance(policy, LMNLPOPolicy) or getattr(self.model, "rollout_buffer", None) is None:
            raise ConfigurationError(
                "NLPOMaskCallback needs an on-policy algorithm with an LMNLPOPolicy; got "
                f"{type(self.model).__name__} with {type(policy).__name__}. Pass policy=agents.LMNLPOPolicy to PPO."
            )
        policy.expect_renewals()
        self.n_updates = 0

    def _on_rollout_start(self) -> None:
        model: Any = self.model
        rollout = model.num_timesteps // (model.n_steps * model.n_envs)
        if rollout % self.update_every == 0:
            model.policy.update_mask()
            self.n_updates += 1
        self.logger.record("nlpo/mask_updates", self.n_updates)

    def _on_step(self) -> bool:
        return True
