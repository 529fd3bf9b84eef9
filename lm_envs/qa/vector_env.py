"""``QA-v0`` with many questions in one pair of arrays."""

from __future__ import annotations

from typing import Any

from lm_envs.environment_arguments import config_of, positive_int
from lm_envs.qa.config import QAConfig
from lm_envs.qa.episodes import QAEpisodes
from lm_envs.token_vector_env import TokenVectorEnv


class QAVectorEnv(TokenVectorEnv):
    """``QA-v0``, ``num_envs`` questions in one pair of arrays.

    Row ``i`` behaves to the last number like ``QAEnv`` seeded with ``seed + i``, and the whole like ``SyncVectorEnv``
    over such environments with ``AutoresetMode.SAME_STEP``. See :class:`lm_envs.qa.env.QAEnv` for the rest.

    Args:
        num_envs: How many, at least 1.
        **arguments: Those of :class:`lm_envs.qa.env.QAEnv`.
    """

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        num_envs = positive_int("num_envs", num_envs)
        config = config_of(QAConfig, arguments)
        super().__init__(QAEpisodes(config, num_envs), config.render_mode, config.group_size)
