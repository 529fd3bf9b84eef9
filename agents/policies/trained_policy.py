"""What both kinds of policies share: they save trained weights only, and copies share what is frozen."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from stable_baselines3.common.policies import BasePolicy
from torch import nn

from agents.networks.encoder import Encoder
from agents.networks.language_model import LanguageModel
from agents.networks.pretrained import pretrained_model
from agents.networks.trained_model import TrainedModel
from agents.networks.trained_weights import TrainedWeights


class TrainedPolicy(TrainedWeights, BasePolicy):
    """A policy that is built from the name of a language model.

    Attributes:
        model_name: The name.
        trainable: What of the language model is trained.
        dtype_name: The precision that it computes in.
        peft_config: Arguments of the adapter of ``trainable="lora"``.
        quantization: How frozen weights are kept.
    """

    model_name: str
    trainable: str
    dtype_name: str
    peft_config: dict[str, Any] | None
    quantization: str | None

    def description(self) -> str:
        """What errors say this is."""
        adapter = f", peft_config={self.peft_config!r}" if self.trainable == "lora" else ""
        return f"{type(self).__name__}, model={self.model_name!r}, trainable={self.trainable!r}{adapter}"

    def _pretrained(self) -> LanguageModel | Encoder:
        """A new instance of the policy's model, as pretrained."""
        return pretrained_model(self.model_name, self.trainable, self.dtype_name, self.peft_config, self.quantization)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters with gradients: TRPO differentiates with respect to all that it finds."""
        return ((name, found) for name, found in super().named_parameters(*args, **kwargs) if found.requires_grad)

    @contextlib.contextmanager
    def adapter_off(self) -> Iterator[None]:
        """A context in which the policy acts as the pretrained model, to the last bit; nothing is copied.

        For ``trainable="lora"`` and ``"heads"``. Value heads, and heads for choices, stay as trained.

        Raises:
            ConfigurationError: The pretrained weights themselves are trained.
        """
        with contextlib.ExitStack() as stack:
            for model in {part for part in self.modules() if isinstance(part, TrainedModel)}:
                stack.enter_context(model.adapter_off())
            yield

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
