"""Prompts as tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, PreTrainedTokenizerFast

from lm_envs.errors import DataError, ModelError
from lm_envs.prompt_table import prompt_table
from lm_envs.vocabulary import load_vocabulary

PROMPTS = ["The lamp is good.", "", "I like the big red lamp a lot! It was bad, but now it is great."]


def test_tokens_are_the_tokenizers(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    table = prompt_table(PROMPTS, vocabulary)
    ids, lengths = table.padded(np.array([2, 0]), 64)
    for row, prompt in zip((0, 1), (PROMPTS[2], PROMPTS[0]), strict=True):
        assert ids[row, : lengths[row]].tolist() == vocabulary.tokenizer(prompt)["input_ids"]


def test_tokenized_once(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    assert prompt_table(list(PROMPTS), vocabulary) is prompt_table(tuple(PROMPTS), vocabulary)
    assert prompt_table(["ab", "c"], vocabulary) is not prompt_table(["a", "bc"], vocabulary)


def test_long_prompts_keep_their_ends(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    ids, lengths = prompt_table(PROMPTS, vocabulary).padded(np.array([2]), 5)
    assert lengths.tolist() == [5]
    assert ids[0].tolist() == vocabulary.tokenizer(PROMPTS[2])["input_ids"][-5:]


def test_long_prompts_keep_the_begin_token(stand_in_with_bos: str) -> None:
    vocabulary = load_vocabulary(stand_in_with_bos)
    tokenizer = vocabulary.tokenizer
    ids, lengths = prompt_table(PROMPTS, vocabulary).padded(np.array([2, 1]), 5)
    assert ids[0].tolist() == [tokenizer.bos_token_id, *tokenizer(PROMPTS[2])["input_ids"][-4:]]
    assert ids[1, : lengths[1]].tolist() == [tokenizer.bos_token_id]


def test_empty_prompt_starts_from_end_of_text(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    ids, lengths = prompt_table(PROMPTS, vocabulary).padded(np.array([1]), 5)
    assert ids[0, : lengths[0]].tolist() == [vocabulary.tokenizer.eos_token_id]


def word_level_model(folder: Path, vocab_size: int) -> str:
    words = {word: i for i, word in enumerate(("lamp", "chair", "red"))}
    fast = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="red")))
    fast.save_pretrained(folder)
    LlamaConfig(vocab_size=vocab_size, architectures=["LlamaForCausalLM"]).save_pretrained(folder)
    return str(folder)


def test_empty_prompt_without_start_token(tmp_path: Path) -> None:
    vocabulary = load_vocabulary(word_level_model(tmp_path, 3))
    with pytest.raises(DataError, match="prompt 1 .* has no tokens"):
        prompt_table(["lamp", ""], vocabulary)


def test_tokenizer_of_another_model(tmp_path: Path) -> None:
    vocabulary = load_vocabulary(word_level_model(tmp_path, 1))
    with pytest.raises(ModelError, match="token id 1, but the model's vocabulary has 1 entries"):
        prompt_table(["chair"], vocabulary)


def test_vocabulary_facts(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    tokenizer = vocabulary.tokenizer
    assert vocabulary.size == 367 > len(tokenizer)
    assert vocabulary.pad_id == tokenizer.pad_token_id
    assert vocabulary.eos_ids == (tokenizer.eos_token_id,)
    assert vocabulary.is_silent[len(tokenizer) :].all() and vocabulary.is_silent[tokenizer.pad_token_id]
    assert vocabulary.is_silent.sum() == 3 + 367 - len(tokenizer)


def test_eos_ids_of_the_generation_config(stand_in: str, tmp_path: Path) -> None:
    for file in Path(stand_in).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    assert load_vocabulary(str(tmp_path)).eos_ids == (0, 2)


def test_encoder_only_model_is_refused(stand_in: str, tmp_path: Path) -> None:
    for file in Path(stand_in).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertForMaskedLM"]}))
    with pytest.raises(ModelError, match="expected a causal language model"):
        load_vocabulary(str(tmp_path))
