"""Streams of token observations, as environments produce them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch as th

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
