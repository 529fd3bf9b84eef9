"""Prompts that the user types instead of those of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.errors import ConfigurationError, UnknownNameError


def own_prompts(env_id: str, env_kwargs: Mapping[str, Any], texts: Sequence[str]) -> tuple[dict[str, Any], bool]:
    """Arguments of an environment with these prompts, scored as its own prompts would be where that is possible.

    Args:
        env_id: The environment.
        env_kwargs: Arguments of the environment.
        texts: The prompts.

    Returns:
        The arguments; whether its rewards mean anything: a reward that reads a column, such as a reference text, has
        nothing to read for a prompt that somebody types.

    Raises:
        ConfigurationError: The environment has no prompts.
    """
    if env_id != "TextGen-v0":
        raise ConfigurationError(
            f"prompts of your own are for TextGen-v0; in {env_id} somebody answers. To talk to a model yourself: "
            "lm-envs play Dialogue-v0 --agent RUN_OR_MODEL"
        )
    from lm_envs import tasks
    from lm_envs.data import PromptDataset
    from lm_envs.rewards import make_reward
    from lm_envs.text_gen_config import DEFAULT_TASK, TextGenConfig

    config = TextGenConfig(**env_kwargs)
    reward = config.reward
    if reward is None:
        reward = tasks.get(config.task or DEFAULT_TASK).reward
    rewarded = True
    try:
        make_reward(reward).check_columns(())
    except UnknownNameError:
        reward, rewarded = no_reward, False
    replaced = ("task", "dataset_kwargs", "columns", "prompt_column")
    kept = {key: value for key, value in env_kwargs.items() if key not in replaced}
    room = {"max_prompt_tokens": config.max_prompt_tokens, "max_new_tokens": config.max_new_tokens}
    return {**kept, **room, "dataset": PromptDataset(list(texts)), "reward": reward}, rewarded


def no_reward(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """0 for every completion."""
    return [0.0 for _ in completions]
