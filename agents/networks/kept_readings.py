"""Texts that stay the same while a policy acts: read once, their hidden states kept until the tokens change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch as th
from gymnasium import spaces

from agents.networks.acting_caches import MOST_CACHES, ActingCaches, check_tokens
from agents.networks.encoder import Encoder
from agents.networks.trained_model import TrainedModel


class Reading:
    """The texts of some rows with their hidden states.

    Args:
        input_ids: ``(n, n_tokens)``, of which shape, dtype and device count.

    Attributes:
        read_tokens: How many tokens went through the model so far.
    """

    def __init__(self, input_ids: th.Tensor) -> None:
        self.ids = th.zeros_like(input_ids)
        self.lengths = th.zeros(len(input_ids), dtype=th.int64, device=input_ids.device)
        self.hidden: th.Tensor | None = None
        self.read_tokens = 0

    def clear(self) -> None:
        """Forget all texts: the weights have changed."""
        self.lengths.zero_()

    def update(self, model: TrainedModel, input_ids: th.Tensor, attention_mask: th.Tensor) -> th.Tensor:
        """Hidden states ``(n, n_tokens, hidden_size)`` of all rows; only those with other tokens are computed."""
        lengths = attention_mask.sum(dim=1, dtype=th.int64)
        rows = ((self.ids != input_ids).any(dim=1) | (self.lengths != lengths)).nonzero().squeeze(1)
        if len(rows):
            width = int(lengths[rows].max())
            counts = lengths[rows].cpu().numpy()
            hidden = model(input_ids[rows, :width], *([counts] if model.reads_ahead else []))
            if self.hidden is None:
                self.hidden = hidden.new_zeros((*self.ids.shape, hidden.shape[-1]))
            self.hidden[rows, :width] = hidden
            self.ids[rows] = input_ids[rows]
            self.lengths[rows] = lengths[rows]
            self.read_tokens += int(np.sum(counts))
        assert self.hidden is not None
        return self.hidden


class KeptReadings:
    """In the place of :class:`ActingCaches`: for encoders, and for observations with a cursor in a text.

    Attributes:
        caches: By purpose and number of rows, the one used last at the end; a few, the others are forgotten.
    """

    def __init__(self) -> None:
        self.caches: OrderedDict[tuple[str, int], Reading] = OrderedDict()
        self._versions: dict[tuple[str, int], int] = {}

    def holds(self, purpose: str, n_rows: int) -> bool:
        """Whether there are readings of so many rows."""
        return (purpose, n_rows) in self.caches

    @th.no_grad()
    def last_hidden(self, purpose: str, model: TrainedModel, obs: Mapping[str, th.Tensor]) -> th.Tensor:
        """Hidden states ``(n, hidden_size)`` at each observation's ``cursor``; where it has none, of its text.

        Args:
            purpose: Whose readings to use.
            model: The model.
            obs: ``input_ids`` and ``attention_mask``, each ``(n, n_tokens)``, and perhaps ``cursor`` ``(n, 1)``.
        """
        check_tokens(obs, model.vocab_size)
        ids = obs["input_ids"]
        key = (purpose, len(ids))
        reading = self.caches.pop(key, None)
        if reading is None or reading.ids.device != ids.device or reading.ids.shape != ids.shape:
            reading = Reading(ids)
        elif self._versions[key] != model.version():
            reading.clear()
        self._versions[key] = model.version()
        self.caches[key] = reading
        while len(self.caches) > MOST_CACHES:
            self.caches.popitem(last=False)
        hidden = reading.update(model, ids, obs["attention_mask"])
        if isinstance(model, Encoder) and "cursor" not in obs:
            return model.of_texts(hidden, reading.lengths)
        places = obs["cursor"].long().flatten() if "cursor" in obs else reading.lengths - 1
        return hidden[th.arange(len(ids), device=ids.device), places]


def caches_for(model: TrainedModel, observation_space: spaces.Space) -> ActingCaches | KeptReadings:
    """What keeps a policy from computing everything anew at each step."""
    has_cursor = isinstance(observation_space, spaces.Dict) and "cursor" in observation_space.spaces
    return KeptReadings() if model.reads_ahead or has_cursor else ActingCaches()
