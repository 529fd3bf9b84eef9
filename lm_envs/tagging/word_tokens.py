"""From words to tokens: which token stands for which word."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from lm_envs.errors import DataError, ModelError
from lm_envs.tagging.sentences import TaggedSentence
from lm_envs.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class WordTokens:
    """The tokens of a sentence.

    Attributes:
        ids: ``(n_tokens,)`` int32, with the special tokens that the tokenizer puts around a text.
        last: Position of each word's last token, ``(n_words,)`` int64.
    """

    ids: npt.NDArray[np.int32]
    last: npt.NDArray[np.int64]


def word_tokens(sentences: Sequence[TaggedSentence], vocabulary: Vocabulary) -> list[WordTokens]:
    """The tokens of all sentences, kept for the rest of the process.

    The words are joined by spaces, so that a word's tokens are those that the model knows from running text.

    Raises:
        DataError: A word has no token.
        ModelError: The tokenizer does not tell where its tokens are in the text, or gives ids that the model has no
            embedding for.
    """
    digest = hashlib.blake2b(digest_size=16)
    for sentence in sentences:
        digest.update("\0".join(sentence.words).encode("utf-8", "surrogatepass") + b"\1")
    return _tokenize(_Key(digest.digest(), vocabulary, sentences))


@dataclass(frozen=True)
class _Key:
    """Equal for equal words and models; carries the sentences along for the first time."""

    fingerprint: bytes
    vocabulary: Vocabulary
    sentences: Sequence[TaggedSentence] = field(compare=False)


@lru_cache(maxsize=16)
def _tokenize(key: _Key) -> list[WordTokens]:
    tokenizer = key.vocabulary.tokenizer
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {key.vocabulary.model!r} ({type(tokenizer).__name__}) does not tell which characters a "
            "token stands for, which labelling words needs. Use a model with a tokenizer.json."
        )
    texts = [sentence.text for sentence in key.sentences]
    encoded = tokenizer(texts, return_offsets_mapping=True, verbose=False)
    highest = max((max(ids, default=0) for ids in encoded["input_ids"]), default=0)
    if highest >= key.vocabulary.size:
        raise ModelError(
            f"the tokenizer of {key.vocabulary.model!r} gives token id {highest}, but the model's vocabulary has "
            f"{key.vocabulary.size} entries: tokenizer and model do not belong together"
        )
    rows = zip(key.sentences, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return [
        WordTokens(np.array(ids, dtype=np.int32), _last_tokens(sentence.words, offsets, number))
        for number, (sentence, ids, offsets) in enumerate(rows, start=1)
    ]


def _last_tokens(words: Sequence[str], offsets: Sequence[tuple[int, int]], number: int) -> npt.NDArray[np.int64]:
    """Positions of the words' last tokens ``(n_words,)``, given where each token is in the text."""
    spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    real = np.flatnonzero(spans[:, 0] < spans[:, 1])  # special tokens stand for no characters
    ends = np.array(list(accumulate(words, lambda end, word: end + 1 + len(word), initial=-1))[1:])
    starts = ends - np.array([len(word) for word in words])
    place = np.searchsorted(spans[real, 0], ends) - 1
    missing = (place < 0) | (len(real) == 0)
    if not missing.all():
        missing |= spans[real[np.maximum(place, 0)], 1] <= starts
    if missing.any():
        word = int(np.argmax(missing))
        raise DataError(
            f"word {word + 1} of sentence {number}, {words[word]!r}, has no token: the tokenizer drops it. Remove the "
            "word from the data, or replace it."
        )
    return real[place]
