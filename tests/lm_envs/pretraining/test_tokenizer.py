"""The tokenizer: exact size, round trips, whole words, and the chat template."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_envs.pretraining.__main__ import DEFAULT_OUT
from lm_envs.pretraining.tokenizer import SPECIAL_TOKENS, VOCABULARY_SIZE, build_tokenizer
from lm_envs.world.corpus import document

MESSAGES = [
    {"role": "system", "content": "You are a helpful shop assistant."},
    {"role": "user", "content": "I want to return a lamp."},
    {"role": "assistant", "content": "Why do you want to return it?"},
]


@cache
def load():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(DEFAULT_OUT)


@pytest.fixture
def tokenizer():
    return load()


def test_size_and_special_tokens(tokenizer):
    assert len(tokenizer) == VOCABULARY_SIZE == len(set(tokenizer.get_vocab().values()))
    assert tokenizer.eos_token == "<|endoftext|>" and tokenizer.pad_token == "<|pad|>"
    for token in SPECIAL_TOKENS:
        assert len(tokenizer(token, add_special_tokens=False)["input_ids"]) == 1
        assert token in tokenizer.all_special_tokens


def test_nothing_is_added_around_a_text(tokenizer):
    assert tokenizer("The lamp")["input_ids"] == tokenizer("The lamp", add_special_tokens=False)["input_ids"]


@settings(deadline=None, max_examples=300)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_round_trips(text):
    assert load().decode(load()(text, add_special_tokens=False)["input_ids"]) == text


@pytest.mark.parametrize(
    "text", ["", " ", "  two  spaces \n\ttabs", "Ünïcödé 🎉 漢字", "ain't it?", "x" * 500, "\x00\x7f"]
)
def test_odd_texts_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_nearly_all_words_of_the_world_are_single_tokens(tokenizer):
    rng = np.random.default_rng(77)
    words = [" " + word.strip(".,!?:") for _ in range(300) for word in document("reviews", rng).split()[1:]]
    single = [len(ids) == 1 for ids in tokenizer(words, add_special_tokens=False)["input_ids"]]
    assert np.mean(single) > 0.995


def test_pieces_and_continuations_join(tokenizer):
    prompt, rest = "I bought this lamp last week.", " I love it."
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, rest, prompt + rest)]
    assert ids[0] + ids[1] == ids[2]


def test_chat_template_ends_every_turn_and_opens_the_next(tokenizer):
    text = tokenizer.apply_chat_template(MESSAGES[:2], tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|system|>You are a helpful shop assistant.<|endofturn|>"
        "<|user|>I want to return a lamp.<|endofturn|><|assistant|>"
    )
    whole = tokenizer.apply_chat_template(MESSAGES, tokenize=False)
    assert whole.endswith("<|assistant|>Why do you want to return it?<|endofturn|>")


def test_the_template_tokenizes_roles_as_single_tokens(tokenizer):
    text = tokenizer.apply_chat_template(MESSAGES, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    names = tokenizer.convert_ids_to_tokens(ids)
    assert names[0] == "<|system|>" and names.count("<|endofturn|>") == len(MESSAGES)


def test_building_is_seeded():
    first, second, other = (build_tokenizer(seed, n_documents=400) for seed in (0, 0, 1))
    assert first.get_vocab() == second.get_vocab() != other.get_vocab()
    assert len(first) <= VOCABULARY_SIZE
