"""Where the arguments of each environment are checked."""

from __future__ import annotations

import importlib
from typing import Any

from lm_envs.errors import UnknownNameError

_CLASSES = {
    "TextGen-v0": ("lm_envs.text_gen_config", "TextGenConfig"),
    "Dialogue-v0": ("lm_envs.dialogue.config", "DialogueConfig"),
    "Tagging-v0": ("lm_envs.tagging.config", "TaggingConfig"),
    "QA-v0": ("lm_envs.qa.config", "QAConfig"),
}


def config_class(env_id: str) -> Any:
    """The dataclass of an environment's arguments; importing it loads neither torch nor transformers.

    Raises:
        UnknownNameError: There is no such environment in this package.
    """
    if env_id not in _CLASSES:
        raise UnknownNameError.for_name("environment", env_id, _CLASSES)
    module, name = _CLASSES[env_id]
    return getattr(importlib.import_module(module), name)
