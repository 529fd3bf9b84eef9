"""Episodes as texts that a reader of the report sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

N_TEXTS = 3
"""Episodes that a cell's result shows."""

SPEAKERS = {"user": "user", "assistant": "agent"}


def shown(episode: Mapping[str, Any]) -> dict[str, Any]:
    """An episode's ``prompt``, ``after`` (what was written) and ``reward_after``.

    Args:
        episode: What :meth:`agents.evaluation.Completion.to_dict` gives.
    """
    return {"prompt": episode["prompt"], "after": text_of(episode), "reward_after": episode["reward"]}


def text_of(episode: Mapping[str, Any]) -> str:
    """What was written; of a conversation all that follows the prompt, a line for each turn."""
    if "messages" not in episode:
        return str(episode["completion"])
    turns = [each for each in episode["messages"] if each["role"] in SPEAKERS]
    return "\n".join(f"{SPEAKERS[each['role']]}: {each['content']}" for each in turns[1:])
