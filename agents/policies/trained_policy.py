"""What both kinds of policies share: they save trained weights only, and copies share what is frozen."""

from __future__ import annotations

import copy
from typing import Any

from stable_baselines3.common.policies import BasePolicy

from agents.networks.trained_weights import TrainedWeights


class TrainedPolicy(TrainedWeights, BasePolicy):
    """A policy that is built from the name of a language model.

    Attributes:
        model_name: The name.
        trainable: What of the language model is trained.
    """

    model_name: str
    trainable: str

    def description(self) -> str:
        """What errors say this is."""
        return f"{type(self).__name__}, model={self.model_name!r}, trainable={self.trainable!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> TrainedPolicy:
        """Copy trained weights and optimizer state; share frozen weights; start with empty caches."""
        twin = type(self)(**self._get_constructor_parameters()).to(self.device)
        memo[id(self)] = twin
        for name, part in self.named_children():  # algorithms hold some of them by names of their own, DQN its networks
            memo[id(part)] = getattr(twin, name)
        memo[id(self.optimizer)] = twin.optimizer
        twin.load_state_dict(self.state_dict())
        twin.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        return twin
