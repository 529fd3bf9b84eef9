"""Token-level language environments behind the plain Gymnasium API.

Importing this package registers the environment ids and needs Gymnasium and NumPy only; tokenizers, language
models and rewards are imported when they are first used.

    import gymnasium as gym, lm_envs
    env = gym.make("TextGen-v0")
    envs = gym.make_vec("Dialogue-v0", num_envs=64)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lm_envs.registration import ENV_IDS, register_envs

if TYPE_CHECKING:
    from lm_envs import rewards as rewards
    from lm_envs import tasks as tasks
    from lm_envs import wrappers as wrappers
    from lm_envs.models import load_language_model as load_language_model
    from lm_envs.models import load_tokenizer as load_tokenizer

__version__ = "0.1.0"

# name -> (module, attribute of it; None: the module itself)
_LAZY: dict[str, tuple[str, str | None]] = {
    "load_language_model": ("lm_envs.models", "load_language_model"),
    "load_tokenizer": ("lm_envs.models", "load_tokenizer"),
    "rewards": ("lm_envs.rewards", None),
    "tasks": ("lm_envs.tasks", None),
    "wrappers": ("lm_envs.wrappers", None),
}

__all__ = ["ENV_IDS", "__version__", "load_language_model", "load_tokenizer", "rewards", "tasks", "wrappers"]

register_envs()


def __getattr__(name: str) -> Any:
    """Import the lazy attributes on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy attributes too, for completion in an interactive session."""
    return sorted({*globals(), *_LAZY})
