"""What is trained: a whole model that reads texts, or a linear layer on features that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn

from agents.reward_models.bodies import output_layer
from lm_envs.models.text_scores import EncodedText, all_outputs, outputs_of


class TextScorer(nn.Module):
    """A model that scores numbered texts.

    Args:
        model: The sequence classification model.
        rows: The texts in tokens.
        batch_size: Most texts in a forward pass without gradients.

    Attributes:
        lengths: Tokens of each text, ``(n_texts,)``.
    """

    def __init__(self, model: nn.Module, rows: Sequence[EncodedText], batch_size: int) -> None:
        super().__init__()
        self.model: Any = model
        self.lengths = np.array([len(row) for row in rows])
        self._rows = rows
        self._batch_size = batch_size

    def forward(self, texts: npt.NDArray[np.int64]) -> th.Tensor:
        """The scores ``(n,)`` of the texts with these numbers, differentiable."""
        return outputs_of(self.model, [self._rows[i] for i in texts]).squeeze(1)

    def score_all(self, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The scores ``(n,)``, without gradients."""
        self.eval()
        return all_outputs(self.model, [self._rows[i] for i in texts], self._batch_size)[:, 0].double().numpy()

    def finish(self) -> None:
        """Leave the model as it is to be saved."""
        self.eval()


class FeatureScorer(nn.Module):
    """A linear layer on the frozen features of numbered texts: on what the model's own output layer would get.

    Features are scaled to a deviation of 1, so that one learning rate suits every body, and centred where the output
    layer has a bias; :meth:`finish` puts that into its weights.

    Args:
        model: The sequence classification model; its output layer gets the weights when training is over.
        rows: The texts in tokens.
        batch_size: Most texts in one forward pass.
    """

    def __init__(self, model: nn.Module, rows: Sequence[EncodedText], batch_size: int) -> None:
        super().__init__()
        name = output_layer(model)
        self._model = [model]  # in a list: its weights are not this module's
        self._output: nn.Linear = model.get_submodule(name)  # type: ignore[assignment]
        features = _features(model, name, rows, batch_size)
        self._std = features.std(0, correction=0).clamp(min=1e-4)
        self._mean = th.zeros_like(self._std) if self._output.bias is None else features.mean(0)
        self._features = (features - self._mean) / self._std  # (n_texts, hidden_size)
        self.lengths = np.ones(len(rows), dtype=np.int64)
        self.head = nn.Linear(features.shape[1], 1, bias=False)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, texts: npt.NDArray[np.int64]) -> th.Tensor:
        """The scores ``(n,)`` of the texts with these numbers, differentiable."""
        return self.head(self._features[th.as_tensor(texts)]).squeeze(1)

    def score_all(self, texts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The scores ``(n,)``, without gradients."""
        with th.no_grad():
            return self(texts).double().numpy()

    @th.no_grad()
    def finish(self) -> None:
        """Write the weights into the model's output layer."""
        weight = (self.head.weight / self._std).to(self._output.weight.device)
        self._output.weight.copy_(weight)
        if self._output.bias is not None:
            self._output.bias.copy_(-(weight @ self._mean.to(weight.device)))
        self._model[0].eval()


def _features(model: nn.Module, name: str, rows: Sequence[EncodedText], batch_size: int) -> th.Tensor:
    """What the layer ``name`` gets of each text, pooled as the model pools, ``(n_texts, n)`` on the CPU."""
    layer, parent = model.get_submodule(name), model.get_submodule(name.rpartition(".")[0])
    place = name.rpartition(".")[2]
    model.eval()
    setattr(parent, place, nn.Identity())  # the logits are then what the layer would have got
    try:
        return all_outputs(model, rows, batch_size)  # type: ignore[arg-type]
    finally:
        setattr(parent, place, layer)
