"""Whether a model is another one trained further, or at least of its architecture and size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lm_envs.models.aliases import resolve

_SIZE = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


def same_size(name: str, other: str) -> bool:
    """Whether two models have the same architecture and size; only their ``config.json`` are read.

    Args:
        name: An alias, a Hugging Face id, or a local folder.
        other: Likewise. A model that is not on this machine has no size, so only its name is compared.

    Raises:
        UnknownNameError: A name is almost an alias.
        ModelError: There is no such folder.
    """
    if name == other:
        return True
    sizes = _size(name), _size(other)
    return sizes[0] is not None and sizes[0] == sizes[1]


def _size(name: str) -> tuple[Any, ...] | None:
    """What the model's configuration says about its size; None where it cannot be read."""
    folder = Path(resolve(name))
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return tuple(values.get(key) for key in _SIZE)
    except (OSError, ValueError, AttributeError):
        return None
