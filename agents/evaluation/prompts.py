"""Which prompts or scenarios there are, and a seeded choice of them. Imports neither torch nor transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lm_envs.environment_configs import config_class
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset

MANY_STARTS = 2**20  # from here on they are drawn one by one instead of shuffled


def load_prompts(env_kwargs: dict[str, Any] | None, split: str) -> PromptDataset:
    """The prompts that ``TextGen-v0`` with these arguments draws from."""
    from lm_envs.text_gen_config import TextGenConfig

    config = TextGenConfig(**{**(env_kwargs or {}), "split": split})
    return config.load_dataset(config.load_task())


def n_starts(env_kwargs: dict[str, Any] | None, split: str, env_id: str = "TextGen-v0") -> int:
    """With how many different prompts, scenarios or questions an episode can start."""
    return int(config_class(env_id)(**{**(env_kwargs or {}), "split": split}).n_starts())


def choose_prompts(
    env_kwargs: dict[str, Any] | None, split: str, n_prompts: int, seed: int, env_id: str = "TextGen-v0"
) -> np.ndarray:
    """Numbers of ``n_prompts`` different prompts, or scenarios, of a split ``(n,)`` int64; all where there are fewer.

    Args:
        env_kwargs: Arguments of the environment, without ``split``.
        split: Which split.
        n_prompts: How many.
        seed: Chooses and orders them.
        env_id: A registered environment.

    Raises:
        ConfigurationError: ``n_prompts`` is below 1.
    """
    if n_prompts < 1:
        raise ConfigurationError(f"n_prompts must be at least 1; got {n_prompts}.")
    total = n_starts(env_kwargs, split, env_id)
    rng = np.random.default_rng(seed)
    if total < MANY_STARTS:
        return rng.permutation(total)[:n_prompts]
    return rng.choice(total, size=min(n_prompts, total), replace=False)
