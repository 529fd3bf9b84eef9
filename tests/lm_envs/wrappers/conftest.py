"""Small token environments with random models, some that forbid tokens, and the plain way to compute candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.wrappers import TimeLimit

from lm_envs import load_language_model

VOCAB_SIZE, EOS = 64, 1
PROMPTS = ["the good", "a bad was is", "is", "the"] * 3


def count_characters(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
    return [float(len(completion)) for completion in completions]


class ForbidTokens(gym.Wrapper):
    """Forbids the end until three tokens are there, and tokens 40 and above always; ``n_legal``: all but the first."""

    def __init__(self, env: gym.Env, n_legal: int = 40) -> None:
        super().__init__(env)
        self.n_legal = n_legal
        mask = gym.spaces.Box(0, 1, (VOCAB_SIZE,), np.int8)
        self.observation_space = gym.spaces.Dict({**env.observation_space.spaces, "action_mask": mask})

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        self.n_new = 0
        obs, info = self.env.reset(**arguments)
        return self.masked(obs), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.n_new += 1
        obs, *rest = self.env.step(action)
        return self.masked(obs), *rest

    def masked(self, obs: dict[str, Any]) -> dict[str, Any]:
        return {**obs, "action_mask": self.action_masks().astype(np.int8)}

    def action_masks(self) -> np.ndarray:
        legal = np.arange(VOCAB_SIZE) < self.n_legal
        legal[EOS] = self.n_new >= 3
        return legal


@pytest.fixture
def env_kwargs(lm_folder: str) -> dict[str, Any]:
    return {
        "model": lm_folder, "dataset": PROMPTS, "max_prompt_tokens": 8, "max_new_tokens": 6, "reward": count_characters,
    }  # fmt: skip


@pytest.fixture
def make_env(env_kwargs: dict[str, Any]) -> Callable[..., gym.Env]:
    """``make_env(**kwargs)``: one environment."""
    return lambda **kwargs: gym.make("TextGen-v0", **{**env_kwargs, **kwargs})


@pytest.fixture
def make_envs(env_kwargs: dict[str, Any]) -> Callable[..., Any]:
    """``make_envs(n, **kwargs)``: a native vector environment."""
    return lambda n=3, **kwargs: gym.make_vec("TextGen-v0", num_envs=n, **{**env_kwargs, **kwargs})


@pytest.fixture
def make_truncated(make_env: Callable[..., gym.Env]) -> Callable[..., gym.vector.SyncVectorEnv]:
    """``make_truncated(n, mode)``: several single environments that are cut off after four steps."""

    def make(n: int = 3, mode: str = "SameStep") -> gym.vector.SyncVectorEnv:
        single = [lambda: TimeLimit(make_env(), 4)] * n
        return gym.vector.SyncVectorEnv(single, autoreset_mode=gym.vector.AutoresetMode(mode))

    return make


@pytest.fixture
def forbid_tokens() -> type[ForbidTokens]:
    return ForbidTokens


@pytest.fixture
def plain_outputs() -> Callable[..., Any]:
    """``plain_outputs(folder, obs)``: log-probabilities and all hidden states of one row, by transformers alone."""

    def run(folder: str, obs: dict[str, np.ndarray], temperature: float = 1.0) -> tuple[th.Tensor, th.Tensor]:
        ids = th.as_tensor(obs["input_ids"][: int(obs["attention_mask"].sum())]).long()[None]
        output = load_language_model(folder)(input_ids=ids, use_cache=False, output_hidden_states=True)
        return (output.logits[0, -1] / temperature).log_softmax(-1), output.hidden_states[-1][0]

    return run
