"""The layer from hidden states to logits, and what a model family does to the logits after it."""

from __future__ import annotations

from dataclasses import dataclass

import torch as th
from torch import nn

from lm_envs.errors import ModelError
from lm_envs.inference.fast_linear import linear


@dataclass(frozen=True)
class OutputLayer:
    """A language model's last linear layer and what its family does to the logits after it.

    Attributes:
        weight: ``(vocab_size, hidden_size)``.
        bias: ``(vocab_size,)`` or None.
        scale: Factor on the logits (Cohere, Granite), divided by the sampling temperature.
        softcap: Bound on the unscaled logits, ``softcap * tanh(logits / softcap)`` (Gemma 2), or None.
    """

    weight: th.Tensor
    bias: th.Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden: th.Tensor) -> th.Tensor:
        """Float32 logits ``(n, vocab_size)`` of hidden states ``(n, hidden_size)``."""
        return self.finish(linear(hidden, self.weight, self.bias).float())

    def finish(self, logits: th.Tensor) -> th.Tensor:
        """What the model's family does to float32 logits of any shape."""
        if self.softcap is not None:
            logits = (logits / self.softcap).tanh() * self.softcap
        return logits if self.scale == 1.0 else logits * self.scale


def find_output_layer(model: nn.Module, name: str) -> OutputLayer:
    """The last linear layer of a model of transformers and its family's treatment of the logits.

    Args:
        model: A causal language model of transformers.
        name: What the user calls it, for the error.

    Raises:
        ModelError: If there is no linear output layer.
    """
    layer = model.get_output_embeddings()  # type: ignore[operator]
    if not isinstance(layer, nn.Linear):
        raise ModelError(
            f"the model {name!r} has no linear output layer over its vocabulary, but {type(layer).__name__}."
        )
    config = model.config
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return OutputLayer(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None))
