"""A pretrained encoder inside of a policy, such as BERT: every token sees the whole text."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch as th
from torch import nn

from agents.networks.lora import check_peft_config
from agents.networks.trained_model import TrainedModel, trainable_names
from lm_envs.errors import ConfigurationError
from lm_envs.inference.cached_model import DTYPES
from lm_envs.models import load_encoder
from lm_envs.models.pooling import pooling

_UNUSED = "pooler"


class Encoder(TrainedModel):
    """An encoder of transformers of which some, all or none of the weights are trained.

    It writes nothing: it is for actions that are labels or other choices. A label is chosen by the hidden state of its
    word; a choice by the mean of all tokens' hidden states, or by that of the first token where the model was made for
    that, see :func:`lm_envs.models.pooling.pooling`.

    Args:
        name: Alias, hub id or folder, as for :func:`lm_envs.models.load_encoder`.
        trainable: ``"all"``; ``"top:N"``, the last N layers; ``"lora"``, a low-rank adapter; or ``"heads"``, nothing in
            here.
        dtype: ``"float32"`` or ``"bfloat16"``, the precision that the model computes in.
        device: Where it runs.
        peft_config: The adapter's arguments, see :func:`agents.networks.lora.lora_config`.

    Raises:
        ConfigurationError: For an unknown ``trainable`` or ``dtype``, more layers than there are, or an adapter that
            does not fit.
        MissingDependencyError: For an adapter peft is missing.
        ModelError: If the model cannot be loaded.

    Attributes:
        pooling: ``"mean"`` or ``"first"``.

    References:
        Devlin et al. 2019, https://arxiv.org/abs/1810.04805
    """

    reads_ahead = True

    def __init__(
        self,
        name: str,
        trainable: str = "all",
        dtype: str = "float32",
        device: th.device | str = "cpu",
        peft_config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_peft_config(trainable, peft_config)
        if dtype not in DTYPES:
            raise ConfigurationError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}.")
        self.compute_dtype = DTYPES[dtype]
        source = load_encoder(name, str(device), dtype)
        trained = {key for key in trainable_names(source, trainable) if not key.startswith(f"{_UNUSED}.")}
        shared = {id(p): nn.Parameter(p.data, False) for key, p in source.named_parameters() if key not in trained}
        # load_encoder remembers the instance only while somebody holds it; in a tuple it is no submodule
        self._source = (source,) if shared else ()
        self.lm = copy.deepcopy(source, shared)
        if hasattr(self.lm, _UNUSED):  # a summary of the text that nobody reads
            setattr(self.lm, _UNUSED, None)
        self.pooling = pooling(name)
        if trainable == "lora":
            self._add_adapter(peft_config)
        else:
            self._make_trainable(trained, lambda: load_encoder(name, str(device), "float32"))

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.lm.config.get_text_config().hidden_size)

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return int(self.lm.config.get_text_config().vocab_size)

    def forward(self, input_ids: th.Tensor, lengths: np.ndarray) -> th.Tensor:
        """Hidden states of right-padded rows.

        Args:
            input_ids: ``(n_rows, n_tokens)`` integer tokens.
            lengths: ``(n_rows,)`` integers, how many tokens of each row count.

        Returns:
            ``(n_rows, n_tokens, hidden_size)`` in the compute dtype; of padding, anything.
        """
        self.refresh()
        mask = _mask(input_ids, lengths).long()
        return self.lm(input_ids=input_ids.long(), attention_mask=mask).last_hidden_state

    def of_texts(self, hidden: th.Tensor, lengths: np.ndarray | th.Tensor) -> th.Tensor:
        """What stands for whole texts, by :attr:`pooling`.

        Args:
            hidden: ``(n_rows, n_tokens, hidden_size)``, from :meth:`forward`.
            lengths: ``(n_rows,)`` integers, at least 1.

        Returns:
            ``(n_rows, hidden_size)`` in the dtype that came.
        """
        if self.pooling == "first":
            return hidden[:, 0]
        mask = _mask(hidden, lengths)[:, :, None]
        total = hidden.masked_fill(~mask, 0).sum(dim=1, dtype=th.float32)
        return (total / mask.sum(dim=1)).to(hidden.dtype)


def _mask(rows: th.Tensor, lengths: np.ndarray | th.Tensor) -> th.Tensor:
    """Which of the tokens ``(n_rows, n_tokens, ...)`` count: ``(n_rows, n_tokens)`` bool."""
    ends = th.as_tensor(lengths, device=rows.device)
    return th.arange(rows.shape[1], device=rows.device) < ends[:, None]
