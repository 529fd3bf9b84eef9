"""``Dialogue-v0`` with many conversations in one pair of arrays."""

from __future__ import annotations

from typing import Any

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.episodes import DialogueEpisodes
from lm_envs.environment_arguments import config_of, positive_int
from lm_envs.token_vector_env import TokenVectorEnv


class DialogueVectorEnv(TokenVectorEnv):
    """``Dialogue-v0``, ``num_envs`` conversations in one pair of arrays.

    Row ``i`` behaves like ``DialogueEnv`` seeded with ``seed + i``, and the whole like ``SyncVectorEnv`` over such
    environments with ``AutoresetMode.SAME_STEP``. The partner and the rewards are called once a step, for all
    conversations in which a turn ended. See :class:`lm_envs.dialogue.env.DialogueEnv` for the rest.

    Args:
        num_envs: How many, at least 1.
        **arguments: Those of :class:`lm_envs.dialogue.env.DialogueEnv`.
    """

    _episodes: DialogueEpisodes

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        num_envs = positive_int("num_envs", num_envs)
        config = config_of(DialogueConfig, arguments)
        super().__init__(DialogueEpisodes(config, num_envs), config.render_mode, config.group_size)

    @property
    def turn_end_id(self) -> int:
        """The token that ends a turn of the agent."""
        return self._episodes.frames.turn_end_id

    @property
    def act_names(self) -> tuple[str, ...]:
        """The dialogue acts that actions choose from; empty where they are tokens."""
        return self._episodes.act_names
