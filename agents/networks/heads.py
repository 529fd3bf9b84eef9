"""The small trained layers on top of a language model."""

from __future__ import annotations

import torch as th
from torch import nn
from torch.nn import functional


class ValueHead(nn.Module):
    """State value from the last token's hidden state: normalised, one hidden layer, output zero at the start.

    Args:
        hidden_size: Width of the language model.
        width: Width of the hidden layer.
    """

    def __init__(self, hidden_size: int, width: int = 128) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden_size, width)
        self.output = nn.Linear(width, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        """Values ``(n,)`` float32 of hidden states ``(n, hidden_size)`` of any floating dtype."""
        hidden = functional.layer_norm(hidden.float(), hidden.shape[-1:])
        return self.output(functional.silu(self.hidden(hidden))).squeeze(-1)


class PolicyAdapter(nn.Module):
    """Low-rank linear change of the last hidden state, zero at the start: the policy head of a frozen model.

    Being linear, it can be merged into the model's output layer for export.

    Args:
        hidden_size: Width of the language model.
        rank: Width in between.
    """

    def __init__(self, hidden_size: int, rank: int = 16) -> None:
        super().__init__()
        self.down = nn.Linear(hidden_size, rank, bias=False)
        self.up = nn.Linear(rank, hidden_size, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        """Changed hidden states ``(n, hidden_size)``, in the dtype that came."""
        return hidden + self.up(self.down(hidden.float())).to(hidden.dtype)

    @th.no_grad()
    def merged(self, output_weight: th.Tensor) -> th.Tensor:
        """Output weights ``(vocab_size, hidden_size)`` float32 that do the same without this layer."""
        weight = output_weight.float()
        return weight + weight @ self.up.weight @ self.down.weight
