"""Language models by name: a short alias, a Hugging Face id, or a local folder.

Importing this package imports neither torch nor transformers; the functions do when they are called.
"""

from lm_envs.models.aliases import aliases, resolve
from lm_envs.models.loading import is_encoder, load_encoder, load_language_model, load_tokenizer
from lm_envs.models.reward_model import load_reward_model
from lm_envs.models.vocabulary import token_texts

__all__ = [
    "aliases",
    "is_encoder",
    "load_encoder",
    "load_language_model",
    "load_reward_model",
    "load_tokenizer",
    "resolve",
    "token_texts",
]
