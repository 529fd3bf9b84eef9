"""The baseline: a language model policy for Stable-Baselines3 as most people would write it.

No cache and no sequences: every observation, in rollouts and updates, is one pass over its whole prefix. Beyond that it
wastes nothing: padding is cut to the longest row of the batch, the output layer sees the last position only, there is
one pass for actor and critic. SB3 stores its observations in a ``DictRolloutBuffer`` and shuffles single transitions.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from lm_envs.models import load_language_model

TokenObs = dict[str, th.Tensor]


class TextbookLMPolicy(ActorCriticPolicy):
    """Actor-critic policy: the last token's hidden state gives the next token's logits and the value.

    Args:
        observation_space: That of a token environment.
        action_space: ``Discrete(vocab_size)``.
        lr_schedule: Learning rate schedule, given by the algorithm.
        use_sde: Passed by SB3; must be False.
        model: Folder of a causal language model.
        dtype: ``"float32"`` or ``"bfloat16"``, of weights and computation.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        model: str = "",
        dtype: str = "float32",
    ) -> None:
        self._model_name, self._dtype_name = model, dtype
        super().__init__(observation_space, action_space, lr_schedule, use_sde=use_sde, ortho_init=False)

    def _build(self, lr_schedule: Schedule) -> None:
        self.lm: Any = copy.deepcopy(load_language_model(self._model_name, dtype=self._dtype_name)).requires_grad_(True)
        self.value_net = nn.Linear(self.lm.config.hidden_size, 1)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def train(self, mode: bool = True) -> TextbookLMPolicy:
        """Stay in evaluation mode: dropout would make PPO's first ratio differ from 1."""
        return super().train(False)

    def forward(self, obs: TokenObs, deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:  # type: ignore[override]
        """Choose actions; returns actions, values and log-probabilities, each ``(n,)``."""
        hidden = last_hidden(self.lm, obs)
        distribution = self._distribution(hidden)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self._values(hidden), distribution.log_prob(actions)

    def evaluate_actions(  # type: ignore[override]
        self, obs: TokenObs, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor | None]:
        """Values, log-probabilities and entropies of taken actions, each ``(n,)``."""
        hidden = last_hidden(self.lm, obs)
        distribution = self._distribution(hidden)
        return self._values(hidden), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: TokenObs) -> Distribution:  # type: ignore[override]
        """The distribution over next tokens."""
        return self._distribution(last_hidden(self.lm, obs))

    def predict_values(self, obs: TokenObs) -> th.Tensor:  # type: ignore[override]
        """Values ``(n,)``."""
        return self._values(last_hidden(self.lm, obs))

    def _distribution(self, hidden: th.Tensor) -> Distribution:
        return self.action_dist.proba_distribution(self.lm.get_output_embeddings()(hidden).float())

    def _values(self, hidden: th.Tensor) -> th.Tensor:
        return self.value_net(hidden.float()).flatten()


def last_hidden(lm: Any, obs: TokenObs) -> th.Tensor:
    """Hidden state of each row's last token, ``(n, hidden_size)``; padding beyond the longest row is cut off."""
    lengths = obs["attention_mask"].sum(dim=1).long()
    longest = int(lengths.max())
    ids = obs["input_ids"][:, :longest].long()
    mask = obs["attention_mask"][:, :longest].long()
    # rows are padded on the right: position ids 0, 1, 2, ... are the model's default
    hidden = lm.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    return hidden[th.arange(len(ids), device=ids.device), lengths - 1]


class TextbookKLCallback(BaseCallback):
    """Subtract ``coef * (log_prob - reference_log_prob)`` from the rewards when the rollout ends, step by step.

    Args:
        coef: Penalty per nat.
    """

    def __init__(self, coef: float) -> None:
        super().__init__()
        self.coef = coef

    def _init_callback(self) -> None:
        self.reference: Any = copy.deepcopy(self.model.policy).requires_grad_(False)

    def _on_step(self) -> bool:
        return True

    @th.no_grad()
    def _on_rollout_end(self) -> None:
        buffer: RolloutBuffer = self.locals["rollout_buffer"]
        observations: Any = buffer.observations
        for step in range(buffer.buffer_size):
            obs = {key: buffer.to_torch(values[step]) for key, values in observations.items()}
            actions = buffer.to_torch(buffer.actions[step]).flatten()
            log_prob = self.reference.get_distribution(obs).log_prob(actions).cpu().numpy()
            buffer.rewards[step] -= np.float32(self.coef) * (buffer.log_probs[step] - log_prob)
        buffer.compute_returns_and_advantage(last_values=self.locals["values"], dones=self.locals["dones"])
