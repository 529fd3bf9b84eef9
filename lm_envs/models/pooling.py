"""Which hidden states of an encoder stand for a whole text, as sentence-transformers writes it beside a model.

Paper: https://arxiv.org/abs/1908.10084 (Sentence-BERT)
"""

from __future__ import annotations

import json
from pathlib import Path

from lm_envs.errors import ModelError
from lm_envs.models.aliases import resolve

FILE = "1_Pooling/config.json"
POOLINGS: tuple[str, ...] = ("mean", "first")


def pooling(name: str) -> str:
    """How an encoder's hidden states become one: ``"mean"`` of all tokens, or that of the ``"first"`` token, ``[CLS]``.

    Args:
        name: An alias, a Hugging Face id, or a local folder.

    Returns:
        What the model's ``1_Pooling/config.json`` says; ``"mean"`` where there is no such file, or another way.

    Raises:
        UnknownNameError: ``name`` is almost an alias.
        ModelError: There is no such folder, or the file cannot be read.
    """
    file = _find(resolve(name))
    if file is None:
        return "mean"
    try:
        return "first" if json.loads(file.read_text(encoding="utf-8")).get("pooling_mode_cls_token") else "mean"
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"cannot read {str(file)!r}: {error}. Save or download the model again.") from error


def _find(source: str) -> Path | None:
    """The file in a folder, or in the copy that came from the hub."""
    from transformers.utils import cached_file

    found = cached_file(
        source,
        FILE,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if found is None else Path(found)
