"""Building the tokenizer of ``tiny``: byte-level BPE with the whole words of the small world on top.

The vocabulary holds the special tokens, the 256 bytes (so that every text can be written), the most frequent
words of the world as whole tokens, and for the remaining room the merges of ordinary byte pair encoding
(Sennrich et al., 2016), which make other English text shorter than its bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lm_envs.world.corpus import documents

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|endofturn|>"
PAD = "<|pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, PAD, END_OF_TURN, "<|user|>", "<|assistant|>", "<|system|>")
VOCABULARY_SIZE = 2048
ROOM_FOR_PIECES = 256
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|endofturn|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def build_tokenizer(seed: int = 0, n_documents: int = 60_000) -> PreTrainedTokenizerFast:
    """Train the tokenizer on text of the world.

    Args:
        seed: Seed of the text.
        n_documents: How many documents to count words in.

    Returns:
        A tokenizer with 2,048 tokens (fewer, if the documents are too few to fill them), a chat template, and
        ``<|endoftext|>`` as the end of text.
    """
    from transformers import PreTrainedTokenizerFast

    texts = list(islice(documents(np.random.default_rng([seed, 1])), n_documents))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_train(texts),
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        additional_special_tokens=list(SPECIAL_TOKENS[2:]),
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _train(texts: Iterable[str]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    counts = Counter(piece for text in texts for piece, _ in byte_level.pre_tokenize_str(_without_specials(text)))
    vocabulary, merges = _choose_vocabulary(counts)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def _without_specials(text: str) -> str:
    for token in SPECIAL_TOKENS:
        text = text.replace(token, "\n")
    return text


def _choose_vocabulary(counts: Counter[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Special tokens, bytes, whole words by frequency, then pieces of words in the order of their merges."""
    from tokenizers import pre_tokenizers

    tokens = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = [w for w, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if len(w) > 1]
    tokens += words[: VOCABULARY_SIZE - ROOM_FOR_PIECES - len(tokens)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = []
    for left, right in _learn_merges(counts):
        if left not in vocabulary or right not in vocabulary:
            continue
        if left + right not in vocabulary:
            if len(vocabulary) == VOCABULARY_SIZE:
                continue
            vocabulary[left + right] = len(vocabulary)
        merges.append((left, right))
    return vocabulary, merges


def _learn_merges(counts: Counter[str]) -> list[tuple[str, str]]:
    """Ordinary BPE on the distinct words, so that the pieces suit words that the world does not have."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=4 * VOCABULARY_SIZE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    decoded = [word.replace("Ġ", " ") for word in sorted(counts)]
    learner.train_from_iterator(decoded, trainer)
    return [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
