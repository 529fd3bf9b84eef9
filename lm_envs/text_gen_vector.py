"""``TextGen-v0`` with many environments in one pair of arrays."""

from __future__ import annotations

from typing import Any

from lm_envs.environment_arguments import config_of, positive_int
from lm_envs.text_gen_config import TextGenConfig
from lm_envs.text_gen_episodes import TextGenEpisodes
from lm_envs.token_vector_env import TokenVectorEnv


class TextGenVectorEnv(TokenVectorEnv):
    """``TextGen-v0``, ``num_envs`` episodes in one pair of arrays.

    Row ``i`` behaves to the last number like ``TextGenEnv`` seeded with ``seed + i``, and the whole like
    ``SyncVectorEnv`` over such environments with ``AutoresetMode.SAME_STEP``. A step costs the same few array
    operations for any number of environments; texts are decoded and rewards computed for all episodes that ended in
    it together. See :class:`lm_envs.text_gen.TextGenEnv` for the rest.

    Args:
        num_envs: How many, at least 1.
        **arguments: Those of :class:`lm_envs.text_gen.TextGenEnv`.
    """

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        num_envs = positive_int("num_envs", num_envs)
        config = config_of(TextGenConfig, arguments)
        super().__init__(TextGenEpisodes(config, num_envs), config.render_mode, config.group_size)
