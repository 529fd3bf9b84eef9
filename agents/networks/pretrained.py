"""From a model's name to a model inside of a policy: a causal language model, or an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.networks.encoder import Encoder
from agents.networks.language_model import LanguageModel
from lm_envs.errors import ConfigurationError
from lm_envs.models import is_encoder


def pretrained_model(
    name: str,
    trainable: str = "all",
    dtype: str = "float32",
    peft_config: Mapping[str, Any] | None = None,
    quantization: str | None = None,
) -> LanguageModel | Encoder:
    """Load what ``name`` stands for; see :class:`LanguageModel` and :class:`Encoder` for arguments and errors.

    Raises:
        ConfigurationError: ``quantization`` is given for an encoder.
    """
    if not is_encoder(name):
        return LanguageModel(name, trainable, dtype, peft_config=peft_config, quantization=quantization)
    if quantization is not None:
        raise ConfigurationError(
            f"quantization={quantization!r} is for causal language models; {name!r} is an encoder. Leave it out."
        )
    return Encoder(name, trainable, dtype, peft_config=peft_config)
