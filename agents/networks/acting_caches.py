"""The slots of a policy that acts: one cache for each purpose, emptied when weights change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch as th

from agents.networks.language_model import LanguageModel
from agents.networks.trained_model import TrainedModel
from lm_envs.errors import ConfigurationError
from lm_envs.inference.slot_cache import SlotCache

MOST_CACHES = 6  # a rollout and an evaluation, with an actor, a critic and a mask each


class ActingCaches:
    """Slot caches by purpose. A rollout under way keeps its slots while other numbers of rows are predicted.

    Attributes:
        caches: By purpose and number of rows, the one used last at the end; a few, the others are forgotten.
    """

    def __init__(self) -> None:
        self.caches: OrderedDict[tuple[str, int], SlotCache] = OrderedDict()
        self._versions: dict[tuple[str, int], int] = {}

    def holds(self, purpose: str, n_rows: int) -> bool:
        """Whether there is a cache for so many rows."""
        return (purpose, n_rows) in self.caches

    def last_hidden(self, purpose: str, model: TrainedModel, obs: Mapping[str, th.Tensor]) -> th.Tensor:
        """Hidden states ``(n, hidden_size)`` after each observation's last token; only new tokens are computed.

        Args:
            purpose: Whose slots to use.
            model: A causal language model.
            obs: ``input_ids`` and ``attention_mask``, each ``(n, n_tokens)``.
        """
        assert isinstance(model, LanguageModel)
        ids = obs["input_ids"]
        check_tokens(ids)
        key = (purpose, len(ids))
        cache = self.caches.pop(key, None)
        if cache is None or cache.device != ids.device or cache.capacity != ids.shape[1]:
            cache = SlotCache(len(ids), ids.shape[1], ids.device)
        elif self._versions[key] != model.version():
            cache.clear()
        self._versions[key] = model.version()
        self.caches[key] = cache
        while len(self.caches) > MOST_CACHES:
            self.caches.popitem(last=False)
        return model.last_hidden(cache, ids, obs["attention_mask"])


def check_tokens(input_ids: th.Tensor) -> None:
    """Raise a ConfigurationError if the tokens of an observation are no integers."""
    if input_ids.is_floating_point():
        raise ConfigurationError(
            "the tokens of an observation are floating point numbers: something normalised them, such as "
            "VecNormalize. Pass it norm_obs=False."
        )
