"""``Tagging-v0`` with many sentences in one set of arrays."""

from __future__ import annotations

from typing import Any

from lm_envs.environment_arguments import config_of, positive_int
from lm_envs.tagging.config import TaggingConfig
from lm_envs.tagging.episodes import TaggingEpisodes
from lm_envs.token_vector_env import TokenVectorEnv


class TaggingVectorEnv(TokenVectorEnv):
    """``Tagging-v0``, ``num_envs`` sentences in one set of arrays.

    Row ``i`` behaves to the last number like ``TaggingEnv`` seeded with ``seed + i``, and the whole like
    ``SyncVectorEnv`` over such environments with ``AutoresetMode.SAME_STEP``. See
    :class:`lm_envs.tagging.env.TaggingEnv` for the rest.

    Args:
        num_envs: How many, at least 1.
        **arguments: Those of :class:`lm_envs.tagging.env.TaggingEnv`.
    """

    _episodes: TaggingEpisodes

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        num_envs = positive_int("num_envs", num_envs)
        config = config_of(TaggingConfig, arguments)
        super().__init__(TaggingEpisodes(config, num_envs), config.render_mode, config.group_size)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label of each action."""
        return self._episodes.label_names
