"""The Gymnasium ids of this package. Entry points are strings, so registering imports nothing."""

from __future__ import annotations

import gymnasium as gym

ENV_IDS: tuple[str, ...] = ("TextGen-v0",)


def register_envs() -> None:
    """Register every id with Gymnasium; ids that are there already are left alone."""
    if "TextGen-v0" not in gym.registry:
        gym.register(
            id="TextGen-v0",
            entry_point="lm_envs.text_gen:TextGenEnv",
            vector_entry_point="lm_envs.text_gen_vector:TextGenVectorEnv",
        )
