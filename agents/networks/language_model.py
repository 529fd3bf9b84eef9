"""A pretrained causal language model inside of a policy: what is trained, in which precision, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch as th

from agents.networks.lora import check_peft_config
from agents.networks.trained_model import TrainedModel, trainable_names
from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.models import load_language_model
from lm_envs.models.quantization import check_quantization


class LanguageModel(TrainedModel, CachedLanguageModel):
    """A causal language model of transformers of which some, all or none of the weights are trained.

    Weights that are not trained are shared, as :class:`~lm_envs.inference.cached_model.CachedLanguageModel` does.

    Args:
        name: Alias, hub id or folder, as for :func:`lm_envs.load_language_model`.
        trainable: ``"all"``; ``"top:N"``, the last N layers and the final norm; ``"lora"``, a low-rank adapter; or
            ``"heads"``, nothing in here.
        dtype: ``"float32"`` or ``"bfloat16"``, the precision that the model computes in.
        device: Where it runs.
        peft_config: The adapter's arguments, see :func:`agents.networks.lora.lora_config`.
        quantization: ``"4bit"`` or ``"8bit"``, how the frozen weights are kept; None: in ``dtype``.

    Raises:
        ConfigurationError: For an unknown ``trainable``, ``dtype`` or ``quantization``, more layers than there are, or
            an adapter that does not fit.
        MissingDependencyError: For an adapter peft is missing, or for quantized weights bitsandbytes.
        ModelError: If the model cannot be loaded, or its output layer is of a kind that is not understood.
    """

    hidden_size = CachedLanguageModel.hidden_size  # and not the ones that TrainedModel leaves open
    vocab_size = CachedLanguageModel.vocab_size

    def __init__(
        self,
        name: str,
        trainable: str = "all",
        dtype: str = "float32",
        device: th.device | str = "cpu",
        peft_config: Mapping[str, Any] | None = None,
        quantization: str | None = None,
    ) -> None:
        check_peft_config(trainable, peft_config)
        check_quantization(trainable, quantization)
        super().__init__(
            name, dtype, device, own=lambda source: trainable_names(source, trainable), quantization=quantization
        )
        if trainable == "lora":
            self._add_adapter(peft_config)
            return
        trained = trainable_names(self.lm, trainable)
        self._make_trainable(trained, lambda: load_language_model(name, device=str(device), dtype="float32"))
