"""Which prompts there are, and a seeded choice of them. Imports neither torch nor transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset


def load_prompts(env_kwargs: dict[str, Any] | None, split: str) -> PromptDataset:
    """The prompts that an environment with these arguments draws from."""
    from lm_envs.text_gen_config import TextGenConfig

    config = TextGenConfig(**{**(env_kwargs or {}), "split": split})
    return config.load_dataset(config.load_task())


def choose_prompts(env_kwargs: dict[str, Any] | None, split: str, n_prompts: int, seed: int) -> np.ndarray:
    """Numbers of ``n_prompts`` different prompts of a split ``(n,)`` int64; all, shuffled, where there are fewer.

    Raises:
        ConfigurationError: ``n_prompts`` is below 1.
    """
    if n_prompts < 1:
        raise ConfigurationError(f"n_prompts must be at least 1; got {n_prompts}.")
    total = len(load_prompts(env_kwargs, split))
    return np.random.default_rng(seed).permutation(total)[:n_prompts]
