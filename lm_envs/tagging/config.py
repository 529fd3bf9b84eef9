"""The arguments of ``Tagging-v0``, checked once, shared by the single and the vector environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_envs.environment_arguments import RENDER_MODES, check_choice, environment_reward, positive_int
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from lm_envs.rewards import RewardSum
    from lm_envs.tagging.sentences import TaggedSentences

DEFAULT_DATASET = "entities"
DEFAULT_REWARD = {"entity_f1": 0.5, "token_accuracy": 0.5}
LONG_SENTENCE_POLICIES: tuple[str, ...] = ("raise", "truncate")
SCHEMES: tuple[str, ...] = ("bio", "iob1")


@dataclass(frozen=True)
class TaggingConfig:
    """Arguments of ``Tagging-v0``; :class:`lm_envs.tagging.env.TaggingEnv` documents them.

    Raises:
        ConfigurationError: A value cannot work.
        UnknownNameError: ``scheme``, ``on_long_sentence`` or ``render_mode`` is not one of the known names.
    """

    model: str = "tiny"
    dataset: Any = None
    reward: Any = None
    types: Sequence[str] | None = None
    scheme: str = "bio"
    token_column: int = 0
    label_column: int = -1
    constrain: bool = False
    max_words: int = 32
    max_tokens: int = 64
    on_long_sentence: str = "raise"
    split: str = "train"
    group_size: int = 1
    render_mode: str | None = None
    device: str = "cpu"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading anything."""
        for name in ("max_words", "max_tokens", "group_size"):
            object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        for name in ("token_column", "label_column"):
            if not isinstance(value := getattr(self, name), int) or isinstance(value, bool):
                raise ConfigurationError(
                    f"{name} must be the number of a column, from 0, or from the end if negative; got {value!r}"
                )
        check_choice("scheme", self.scheme, SCHEMES)
        check_choice("on_long_sentence", self.on_long_sentence, LONG_SENTENCE_POLICIES)
        if self.render_mode is not None:
            check_choice("render_mode", self.render_mode, RENDER_MODES)
        if self.dataset is None:
            object.__setattr__(self, "dataset", DEFAULT_DATASET)
        if self.types is not None:
            object.__setattr__(self, "types", _types(self.types))

    def load_sentences(self) -> TaggedSentences:
        """The sentences of the split.

        Raises:
            DataError: The data are missing or malformed.
            UnknownNameError: There is no such split.
        """
        from lm_envs.tagging.loading import load_sentences

        return load_sentences(
            self.dataset,
            self.split,
            types=self.types,
            scheme=self.scheme,
            token_column=self.token_column,
            label_column=self.label_column,
        )

    def n_starts(self) -> int:
        """Number of sentences that an episode can start with."""
        return len(self.load_sentences())

    def load_reward(self) -> RewardSum:
        """The reward: the user's, else half entity F1 and half token accuracy."""
        return environment_reward(DEFAULT_REWARD if self.reward is None else self.reward, self.model, self.device)


def _types(values: Any) -> tuple[str, ...]:
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    if not is_list or not values or not all(isinstance(name, str) and name for name in values):
        raise ConfigurationError(f"types must be a list of the entities' types, such as ['LOC', 'PER']; got {values!r}")
    if len(set(values)) < len(values):
        raise ConfigurationError(f"types must be different from each other; got {list(values)!r}")
    return tuple(values)
