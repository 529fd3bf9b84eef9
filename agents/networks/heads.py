"""The small trained layers on top of a language model."""

from __future__ import annotations

from collections.abc import Mapping

import torch as th
from torch import nn
from torch.nn import functional


class Scores(nn.Module):
    """Numbers for a state from one hidden layer, all zero at the start: values of choices, quantiles of a value.

    Args:
        hidden_size: Width of the language model.
        n_scores: How many.
        width: Width of the hidden layer.
    """

    def __init__(self, hidden_size: int, n_scores: int, width: int = 256) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden_size, width)
        self.output = nn.Linear(width, n_scores)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        """Scores ``(n, n_scores)`` float32 of hidden states ``(n, hidden_size)``."""
        normed = functional.layer_norm(hidden.float(), hidden.shape[-1:])
        return self.output(functional.silu(self.hidden(normed)))


class Choices(Scores):
    """Logits of choices from the hidden state, all zero at the start: at first each choice is as likely as any."""

    def forward(self, hidden: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:  # type: ignore[override]
        """Logits ``(n, n_choices)`` float32 of hidden states ``(n, hidden_size)``; ``columns`` are not looked at."""
        return super().forward(hidden)


class LabelChoices(Choices):
    """The same for the labels of words: from a word's hidden state and the label before it.

    Args:
        hidden_size: Width of the language model.
        n_labels: How many.
        width: Width of the hidden layer.
    """

    def __init__(self, hidden_size: int, n_labels: int, width: int = 256) -> None:
        super().__init__(hidden_size, n_labels, width)
        self.previous = nn.Embedding(n_labels + 1, width)  # the last one: a sentence's start
        nn.init.zeros_(self.previous.weight)

    def forward(self, hidden: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:  # type: ignore[override]
        """Logits ``(n, n_labels)`` float32.

        Args:
            hidden: ``(n, hidden_size)``.
            columns: With ``labels`` ``(n, n_words)``, those of the words so far, -1 for none.
        """
        labels = columns["labels"].long()
        count = (labels >= 0).sum(dim=1, keepdim=True)
        last = labels.gather(1, (count - 1).clamp(min=0)).squeeze(1)
        before = self.previous(last.where(last >= 0, self.previous.num_embeddings - 1))
        normed = functional.layer_norm(hidden.float(), hidden.shape[-1:])
        return self.output(functional.silu(self.hidden(normed) + before))


class ValueHead(Scores):
    """State value from the last token's hidden state, zero at the start.

    Args:
        hidden_size: Width of the language model.
        width: Width of the hidden layer.
    """

    def __init__(self, hidden_size: int, width: int = 128) -> None:
        super().__init__(hidden_size, 1, width)

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        """Values ``(n,)`` float32 of hidden states ``(n, hidden_size)`` of any floating dtype."""
        return super().forward(hidden).squeeze(-1)


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
