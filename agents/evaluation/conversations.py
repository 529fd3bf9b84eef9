"""Let an agent that speaks text act in chosen episodes: the counterpart of ``complete`` for policies."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium as gym

import lm_envs  # noqa: F401 - registers the environments
from agents.evaluation.generation import Completion
from agents.evaluation.text_agents import Speaker, TextAgent
from lm_envs.dialogue.partners.protocol import Message
from lm_envs.errors import ConfigurationError
from lm_envs.wrappers import TextInterface


def converse(
    agent: TextAgent | Speaker,
    env_id: str = "Dialogue-v0",
    env_kwargs: dict[str, Any] | None = None,
    *,
    indices: Sequence[int],
    split: str = "test",
    seed: int = 0,
    batch_size: int = 16,
) -> list[Completion]:
    """Let the agent hold one conversation, or complete one prompt, for each of ``indices``.

    Args:
        agent: ``agent(messages) -> str``, plain or ``async``.
        env_id: A registered environment whose actions are tokens.
        env_kwargs: Its arguments, without ``split``.
        indices: Which prompts or scenarios of the split, in which order.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        seed: Episode ``i`` is seeded by ``seed + i``, whatever the batch size.
        batch_size: Episodes at the same time, for an ``async`` agent: its answers are awaited together. A plain agent
            is asked one after the other.

    Returns:
        One episode for each of ``indices``, in their order.

    Raises:
        AgentError: The agent failed.
        ConfigurationError: ``batch_size`` is below 1, there is no such prompt, or the actions are no tokens.
    """
    if batch_size < 1:
        raise ConfigurationError(f"batch_size must be at least 1; got {batch_size}.")
    speaker = agent if isinstance(agent, Speaker) else Speaker(agent)
    n_envs = min(batch_size if speaker.is_async else 1, len(indices))
    kwargs = {**(env_kwargs or {}), "split": split}
    envs = [TextInterface(gym.make(env_id, disable_env_checker=True, **kwargs)) for _ in range(n_envs)]
    try:
        return _converse(speaker, envs, indices, seed)
    finally:
        for env in envs:
            env.close()


def _converse(speaker: Speaker, envs: list[TextInterface], indices: Sequence[int], seed: int) -> list[Completion]:
    """All episodes; an environment whose episode has ended takes up the next one."""
    waiting = deque(range(len(indices)))
    running: dict[int, tuple[TextInterface, list[Message]]] = {}  # by episode
    found: dict[int, Completion] = {}
    free = list(envs)
    while waiting or running:
        while free and waiting:
            episode, env = waiting.popleft(), free.pop()
            _, info = env.reset(seed=seed + episode, options={"index": int(indices[episode])})
            running[episode] = env, info["messages"]
        turns = speaker.answers([messages for _, messages in running.values()])
        for (episode, (env, _)), text in zip(list(running.items()), turns, strict=True):
            _, _, terminated, truncated, info = env.step(text)
            running[episode] = env, info["messages"]
            if terminated or truncated:
                found[episode] = Completion.of_info(info)
                free.append(env)
                del running[episode]
    return [found[episode] for episode in range(len(indices))]
