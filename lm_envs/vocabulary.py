"""What an environment needs to know about a model's tokens; no weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Vocabulary:
    """A model's tokens: small, hashable, cheap to pickle; the tokenizer is fetched by name when needed.

    Attributes:
        model: Alias, hub id or folder of the model.
        size: Number of entries of the model's vocabulary; may exceed the tokenizer's.
        pad_id: The tokenizer's padding token, else its end-of-text token, else 0.
        eos_ids: The tokens that end a text.
        max_positions: The longest sequence that the model was built for; None if the config does not say.
        trust_remote_code: Whether code that comes with the model may run.
    """

    model: str
    size: int
    pad_id: int
    eos_ids: tuple[int, ...]
    max_positions: int | None
    trust_remote_code: bool = False

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The process's one tokenizer of this model, looked up once: turns end in almost every step."""
        from lm_envs.models import load_tokenizer

        return load_tokenizer(self.model, trust_remote_code=self.trust_remote_code)

    def __getstate__(self) -> dict[str, Any]:
        """The fields: another process has a tokenizer of its own."""
        return {name: value for name, value in vars(self).items() if name != "tokenizer"}

    @property
    def is_silent(self) -> npt.NDArray[np.bool_]:
        """Which tokens give no text: special ones and those that the tokenizer does not know, ``(size,)``."""
        return _silent_tokens(self)

    def decode(self, ids: list[list[int]]) -> list[str]:
        """The texts of token sequences, without special tokens, spaces left as they are."""
        tokenizer = self.tokenizer
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return list(texts)


def load_vocabulary(model: str, trust_remote_code: bool = False, may_be_encoder: bool = False) -> Vocabulary:
    """Read a model's tokenizer and configuration, once a process.

    Args:
        model: Alias, hub id or folder.
        trust_remote_code: Run code that comes with the model.
        may_be_encoder: Nothing is generated, so the model may be an encoder, such as BERT.

    Raises:
        ModelError: There is no such model, or it is neither a causal language model nor what else it may be.
        UnknownNameError: ``model`` is almost an alias.
    """
    from lm_envs.models import load_tokenizer

    tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
    return _read_vocabulary(model, tokenizer, trust_remote_code, may_be_encoder)


@lru_cache(maxsize=16)
def _read_vocabulary(
    model: str, tokenizer: PreTrainedTokenizerBase, trust_remote_code: bool, may_be_encoder: bool
) -> Vocabulary:
    from transformers import AutoConfig

    from lm_envs.models import resolve
    from lm_envs.models.checks import check_causal, check_one_part
    from lm_envs.models.loading_errors import reported

    source = resolve(model)
    with reported("configuration", model, source):
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    if may_be_encoder:
        check_one_part(model, config)
    else:
        check_causal(model, config, trust_remote_code)
    text_config = config.get_text_config()
    pad_ids = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return Vocabulary(
        model=model,
        size=int(text_config.vocab_size),
        pad_id=next(int(token) for token in pad_ids if token is not None),
        eos_ids=tuple(i for i in _eos_ids(source, tokenizer.eos_token_id) if i < text_config.vocab_size),
        max_positions=getattr(text_config, "max_position_embeddings", None),
        trust_remote_code=trust_remote_code,
    )


def _eos_ids(source: str, tokenizer_eos: int | None) -> list[int]:
    """End-of-text tokens: the tokenizer's, and those at which ``generate`` would stop."""
    from transformers import GenerationConfig

    try:
        listed = GenerationConfig.from_pretrained(source).eos_token_id
    except OSError:  # a model without generation_config.json
        listed = None
    eos_ids = {listed} if isinstance(listed, int) else set(listed or ())
    if tokenizer_eos is not None:
        eos_ids.add(tokenizer_eos)
    return sorted(int(token) for token in eos_ids)


@lru_cache(maxsize=16)
def _silent_tokens(vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    from lm_envs.models import token_texts

    texts = token_texts(vocabulary.tokenizer)[: vocabulary.size]
    silent = np.ones(vocabulary.size, dtype=bool)
    silent[: len(texts)] = [not text for text in texts]
    return silent
