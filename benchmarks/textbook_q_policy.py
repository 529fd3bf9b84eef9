"""The DQN baseline: a language model Q-network for Stable-Baselines3 as most people would write it.

Every observation, when acting and in updates, is one pass over its whole prefix, and the target network is a second
model with passes of its own. Beyond that it wastes nothing: padding is cut to the longest row of the batch, and the
output layer, which gives the values, sees the last position only. SB3 stores single transitions in a
``DictReplayBuffer``.
"""

from __future__ import annotations

import copy
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.dqn.policies import DQNPolicy

from benchmarks.textbook_policy import TokenObs, last_hidden
from lm_envs.models import load_language_model


class TextbookLMQNetwork(BasePolicy):
    """Q-network: the language model's logits of the next token are the values of the actions.

    Args:
        observation_space: That of a token environment.
        action_space: ``Discrete(vocab_size)``.
        model: Folder of a causal language model.
        dtype: ``"float32"`` or ``"bfloat16"``, of weights and computation.
    """

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space, model: str, dtype: str) -> None:
        super().__init__(observation_space, action_space)
        self.lm: Any = copy.deepcopy(load_language_model(model, dtype=dtype)).requires_grad_(True)

    def forward(self, obs: TokenObs) -> th.Tensor:
        """Values ``(n, vocab_size)`` float32."""
        return self.lm.get_output_embeddings()(last_hidden(self.lm, obs)).float()

    def _predict(self, observation: TokenObs, deterministic: bool = True) -> th.Tensor:  # type: ignore[override]
        return self(observation).argmax(dim=1)


class TextbookLMQPolicy(DQNPolicy):
    """SB3's DQN policy with a language model in place of its multilayer perceptron, once more for the target.

    Args:
        observation_space: That of a token environment.
        action_space: ``Discrete(vocab_size)``.
        lr_schedule: Learning rate schedule, given by the algorithm.
        model: Folder of a causal language model.
        dtype: ``"float32"`` or ``"bfloat16"``, of weights and computation.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        model: str = "",
        dtype: str = "float32",
    ) -> None:
        self._model_name, self._dtype_name = model, dtype
        super().__init__(observation_space, action_space, lr_schedule)

    def make_q_net(self) -> TextbookLMQNetwork:  # type: ignore[override]
        """The online network, or the target network."""
        return TextbookLMQNetwork(self.observation_space, self.action_space, self._model_name, self._dtype_name)
