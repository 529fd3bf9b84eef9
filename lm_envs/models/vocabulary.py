"""The text of each token."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_known: weakref.WeakKeyDictionary[PreTrainedTokenizerBase, list[str]] = weakref.WeakKeyDictionary()


def token_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    r"""Return what each token adds to a decoded text, indexed by token id.

    Special tokens add nothing. A token that is only a part of a character (byte-level vocabularies have some)
    has the replacement character ``"\ufffd"`` in its text.

    Args:
        tokenizer: Any tokenizer of transformers.

    Returns:
        ``len(tokenizer)`` strings. The list is shared: do not change it.
    """
    texts = _known.get(tokenizer)
    if texts is None or len(texts) != len(tokenizer):  # the user may have added tokens
        texts = _known[tokenizer] = _decode_each(tokenizer)
    return texts


def _decode_each(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Decode each token behind another one, for decoders that strip the space of a text's first token."""
    size = len(tokenizer)
    alone = _decode(tokenizer, [[token] for token in range(size)])
    anchor = next((token for token, text in enumerate(alone) if text.isascii() and text.strip()), None)
    if anchor is None:
        return alone
    pairs = _decode(tokenizer, [[anchor, token] for token in range(size)])
    return [text[len(alone[anchor]) :] for text in pairs]


def _decode(tokenizer: PreTrainedTokenizerBase, batch: list[list[int]]) -> list[str]:
    return list(tokenizer.batch_decode(batch, skip_special_tokens=True, clean_up_tokenization_spaces=False))
