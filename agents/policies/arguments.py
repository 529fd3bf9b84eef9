"""Checks of what both kinds of policies are built with."""

from __future__ import annotations

from typing import Any

import torch as th

from agents.networks.trained_model import TrainedModel
from lm_envs.errors import ConfigurationError, ModelError


def check_model_name(model: Any) -> None:
    """Check that a policy's model is given by name.

    Raises:
        ConfigurationError: It is something else, such as the model itself.
    """
    if not isinstance(model, str):
        raise ConfigurationError(
            f"policy_kwargs['model'] must be a name, a hub id or a folder; got {type(model).__name__}. An object would "
            "be pickled into every checkpoint: save it with save_pretrained(folder) and pass the folder."
        )


def check_context(model: TrainedModel, name: str, max_tokens: int) -> None:
    """Check that a model can read observations of ``max_tokens`` tokens.

    Raises:
        ModelError: They are longer than its context.
    """
    longest = getattr(model.lm.config, "max_position_embeddings", None)
    if longest is not None and max_tokens > longest:
        raise ModelError(
            f"the environment's observations have {max_tokens} tokens, the model {name!r} reads at most {longest}. "
            "Lower max_prompt_tokens or max_new_tokens."
        )


def optimizer_arguments(
    optimizer_class: type[th.optim.Optimizer], given: dict[str, Any] | None, **usual: Any
) -> dict[str, Any]:
    """The optimizer's keyword arguments: those given, else the ``usual`` ones for Adam, fused.

    A fused step is one pass over the weights instead of ten.
    """
    if given is None and optimizer_class in (th.optim.Adam, th.optim.AdamW):
        return {**usual, "fused": True}
    return given or {}
