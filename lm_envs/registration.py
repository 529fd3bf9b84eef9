"""The Gymnasium ids of this package. Entry points are strings, so registering imports nothing."""

from __future__ import annotations

import gymnasium as gym

_ENTRY_POINTS = {
    "TextGen-v0": ("lm_envs.text_gen:TextGenEnv", "lm_envs.text_gen_vector:TextGenVectorEnv"),
    "Dialogue-v0": ("lm_envs.dialogue.env:DialogueEnv", "lm_envs.dialogue.vector_env:DialogueVectorEnv"),
    "Tagging-v0": ("lm_envs.tagging.env:TaggingEnv", "lm_envs.tagging.vector_env:TaggingVectorEnv"),
    "QA-v0": ("lm_envs.qa.env:QAEnv", "lm_envs.qa.vector_env:QAVectorEnv"),
}
ENV_IDS: tuple[str, ...] = tuple(_ENTRY_POINTS)


def register_envs() -> None:
    """Register every id with Gymnasium; ids that are there already are left alone."""
    for env_id, (entry_point, vector_entry_point) in _ENTRY_POINTS.items():
        if env_id not in gym.registry:
            gym.register(id=env_id, entry_point=entry_point, vector_entry_point=vector_entry_point)
