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
    tokens = range(len(tokenizer))
    anchor = next((token for token in tokens if _is_plain(_decode(tokenizer, [[token]])[0])), None)
    prefix = [] if anchor is None else [anchor]
    start = len(_decode(tokenizer, [prefix])[0])
    return [text[start:] for text in _decode(tokenizer, [[*prefix, token] for token in tokens])]


def _is_plain(text: str) -> bool:
    return text.isascii() and bool(text.strip())  # whole characters, and not special


def _decode(tokenizer: PreTrainedTokenizerBase, batch: list[list[int]]) -> list[str]:
    return list(tokenizer.batch_decode(batch, skip_special_tokens=True, clean_up_tokenization_spaces=False))
