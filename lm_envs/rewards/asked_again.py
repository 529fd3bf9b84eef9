"""Does the agent listen?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import read_column
from lm_envs.rewards.registry import register


@register("asked_again")
@dataclass(frozen=True)
class AskedAgain:
    """A penalty for asking for what the user has told before, at each turn; give it a positive weight.

    Formula: -1 if the agent's turn asks for a slot (the day, the number of people) for which a turn of the user before
    it has a value, else 0; also 0 for a turn that asks for nothing, an empty one among them. What the user has told is
    read from the column ``messages`` with the grammar of the small world's help desk
    (``lm_envs.world.understanding``): what the grammar does not know counts as not told. What the agent asks for is
    its act in the column ``turn_info`` (``"agent_act"``, for example ``"ask.book.day"``), or else is read from its turn
    in the same way.
    """

    __name__ = "asked_again"
    per_turn = True
    required_columns = ("messages",)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """-1.0 or 0.0 for each turn."""
        conversations = read_column(self, "messages", columns)
        infos = columns.get("turn_info", [{}] * len(conversations))
        return [
            -1.0 if _asks_again(messages, info) else 0.0 for messages, info in zip(conversations, infos, strict=True)
        ]


def _asks_again(messages: Sequence[Mapping[str, str]], info: Mapping[str, Any]) -> bool:
    from lm_envs.world.understanding import understand

    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if not turns:
        return False
    domain, told = _told([message["content"] for message in messages[: turns[-1]] if message["role"] == "user"])
    act = info.get("agent_act")
    if not act:
        heard = understand("assistant", messages[turns[-1]]["content"], domain)
        act = "" if heard is None else heard.act
    kind, *rest = act.split(".")
    return kind == "ask" and rest[-1:] != [] and rest[-1] in told


def _told(turns: Sequence[str]) -> tuple[str | None, set[str]]:
    """What the conversation is about, and the slots for which the user's turns have values."""
    from lm_envs.world.understanding import understand

    domain: str | None = None
    told: set[str] = set()
    for turn in turns:
        heard = understand("user", turn, domain)
        if heard is not None:
            domain = domain or heard.domain or None
            told.update(heard.slots)
    return domain, told
