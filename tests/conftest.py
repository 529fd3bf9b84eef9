"""Shared fixtures: small random language models, so that no test downloads anything, and streams of tokens."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

th.set_num_threads(1)

VOCAB_SIZE = 64
WORDS = ("the", "a", "is", "was", "good", "bad")
SPECIAL = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>")
FAMILIES = ("llama", "gpt2", "qwen2", "gpt_neox", "opt", "gemma")

_COMMON: dict[str, Any] = {"vocab_size": VOCAB_SIZE, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
_LLAMA_LIKE: dict[str, Any] = {
    **_COMMON,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
_CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_LLAMA_LIKE, "num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen2": {**_LLAMA_LIKE, "num_key_value_heads": 2},
    "gemma": {**_LLAMA_LIKE, "num_key_value_heads": 1, "head_dim": 8},
    "gpt_neox": {**_LLAMA_LIKE, "hidden_dropout": 0.0, "attention_dropout": 0.0},
    "gpt2": {
        **_COMMON,
        "n_positions": 256,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "opt": {
        **_COMMON,
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "dropout": 0.0,
    },
}


def _random_lm(family: str, seed: int = 0) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **_CONFIGS[family])
    with th.random.fork_rng(devices=[]):
        th.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config).eval()
        for parameter in model.parameters():  # the usual 0.02 makes all tokens equally likely: tests would see nothing
            if parameter.dim() > 1:
                th.nn.init.normal_(parameter, std=0.2)
    return model


def _alphabet() -> list[str]:
    """The byte-level names of the characters that the tokenizer knows: Ġ is the space, Ċ the line end."""
    return [*"abcdefghijklmnopqrstuvwxyz", "Ġ", "Ċ", *".,!?':0123456789"]


def _merges() -> list[tuple[str, str]]:
    """Merges that build the words of WORDS, letter by letter."""
    merges: list[tuple[str, str]] = []
    for word in ("Ġ" + word for word in WORDS):
        for end in range(1, len(word)):
            if (pair := (word[:end], word[end])) not in merges:
                merges.append(pair)
    return merges


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each of the six model families in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def random_lm() -> Callable[..., Any]:
    """``random_lm(family, seed=0)``: a new two-layer model with random weights, no dropout, in eval mode."""
    return _random_lm


@pytest.fixture(scope="session")
def small_tokenizer() -> Any:
    """A byte-level BPE tokenizer of 64 tokens: lower-case letters, digits, punctuation, a few merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [*SPECIAL, *_alphabet(), *("".join(pair) for pair in _merges())]
    assert len(pieces) == len(set(pieces)) == VOCAB_SIZE
    backend = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=_merges()))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        bos_token="<|end|>",
        extra_special_tokens=["<|user|>", "<|assistant|>"],
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    return tokenizer


@pytest.fixture(scope="session")
def random_lm_folder(tmp_path_factory: pytest.TempPathFactory, small_tokenizer: Any) -> Callable[..., str]:
    """``random_lm_folder(family, seed=0)``: such a model with the small tokenizer, saved; the folder's path.

    The folders are shared by the whole session: copy one before changing it.
    """
    root = tmp_path_factory.mktemp("models")

    def save(family: str = "llama", seed: int = 0) -> str:
        folder: Path = root / f"{family}-{seed}"
        if not folder.exists():
            _random_lm(family, seed).save_pretrained(folder)
            small_tokenizer.save_pretrained(folder)
        return str(folder)

    return save


@pytest.fixture(scope="session")
def lm_folder(random_lm_folder: Callable[..., str]) -> str:
    """One saved Llama with the small tokenizer (shared, not to be changed)."""
    return random_lm_folder("llama")


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory, small_tokenizer: Any) -> str:
    """A saved two-layer BERT without head, with random weights and the small tokenizer (shared, not to be changed)."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    folder = tmp_path_factory.mktemp("encoders") / "bert"
    with th.random.fork_rng(devices=[]):
        th.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    small_tokenizer.save_pretrained(folder)
    return str(folder)


MAX_TOKENS = 24


class TokenStream:
    """Random episodes of ragged length in several rows; rows restart at different times."""

    def __init__(self, n_envs: int, seed: int = 0, vocab_size: int = 64, max_tokens: int = MAX_TOKENS) -> None:
        self.rng = np.random.default_rng(seed)
        self.vocab_size = vocab_size
        self.ids = np.zeros((n_envs, max_tokens), dtype=np.int32)
        self.lengths = np.zeros(n_envs, dtype=np.int64)
        self.starts = np.ones(n_envs, dtype=bool)
        for i in range(n_envs):
            self.restart(i)

    def restart(self, i: int) -> None:
        self.lengths[i] = self.rng.integers(1, 9)
        self.ids[i] = 0
        self.ids[i, : self.lengths[i]] = self.rng.integers(2, self.vocab_size, self.lengths[i])
        self.starts[i] = True

    @property
    def mask(self) -> np.ndarray:
        return (np.arange(self.ids.shape[1]) < self.lengths[:, None]).astype(np.int8)

    def obs(self) -> dict[str, np.ndarray]:
        return {"input_ids": self.ids.copy(), "attention_mask": self.mask}

    def tensors(self) -> dict[str, th.Tensor]:
        return {key: th.as_tensor(value) for key, value in self.obs().items()}

    def append(self, tokens: np.ndarray, n_tokens: int = 1) -> None:
        """Append an action to every row; a full row, or one in ten at random, starts anew."""
        self.starts[:] = False
        for i, token in enumerate(tokens):
            if self.lengths[i] + n_tokens >= self.ids.shape[1] or self.rng.random() < 0.1:
                self.restart(i)
            else:
                new = self.rng.integers(2, self.vocab_size, n_tokens)
                new[0] = token
                self.ids[i, self.lengths[i] : self.lengths[i] + n_tokens] = new
                self.lengths[i] += n_tokens

    def random_steps(self, n_steps: int) -> Iterator[dict[str, th.Tensor]]:
        for _ in range(n_steps):
            yield self.tensors()
            self.append(self.rng.integers(2, self.vocab_size, len(self.ids)))


@pytest.fixture
def token_stream() -> type[TokenStream]:
    return TokenStream
