"""From a model's name to a model inside of a policy: a causal language model, or an encoder."""

from __future__ import annotations

from agents.networks.encoder import Encoder
from agents.networks.language_model import LanguageModel
from lm_envs.models import is_encoder


def pretrained_model(name: str, trainable: str = "all", dtype: str = "float32") -> LanguageModel | Encoder:
    """Load what ``name`` stands for; see :class:`LanguageModel` and :class:`Encoder` for arguments and errors."""
    return Encoder(name, trainable, dtype) if is_encoder(name) else LanguageModel(name, trainable, dtype)
