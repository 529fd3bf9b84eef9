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
        check_tokens(obs, model.vocab_size)
        ids = obs["input_ids"]
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


def check_tokens(obs: Mapping[str, th.Tensor], vocab_size: int) -> None:
    """Check that observations hold texts as environments give them; on a GPU only what does not wait for it.

    Args:
        obs: ``input_ids`` and ``attention_mask``, each ``(n, n_tokens)``.
        vocab_size: Number of tokens that the model knows.

    Raises:
        ConfigurationError: One is missing, tokens are no integers or none of the model's, or padding is on the left.
    """
    if not {"input_ids", "attention_mask"} <= set(obs):
        raise ConfigurationError(
            f"expected an observation with input_ids and attention_mask, got {', '.join(sorted(obs)) or 'nothing'}. "
            "Pass what the environment's reset or step returned."
        )
    ids, mask = obs["input_ids"], obs["attention_mask"]
    if ids.is_floating_point():
        raise ConfigurationError(
            "the tokens of an observation are floating point numbers: something normalised them, such as "
            "VecNormalize. Pass it norm_obs=False."
        )
    if ids.device.type != "cpu":
        return
    if not (mask[:, 0].all() and (mask[:, 1:] <= mask[:, :-1]).all()):
        raise ConfigurationError(
            "expected observations padded on the right, with an attention_mask of ones, at least one, and then zeros; "
            "got another. Did a tokenizer with padding_side='left' make them, or a wrapper that stacks observations, "
            "such as VecFrameStack? Pad on the right, and leave such a wrapper out: an observation holds the whole "
            "text already."
        )
    if int(ids.max()) >= vocab_size:
        raise ConfigurationError(
            f"an observation holds the token {int(ids.max())}, and the policy's model knows {vocab_size}. Does the "
            "environment use another model than the policy? Give both the same."
        )
