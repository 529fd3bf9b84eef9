"""The arguments of ``QA-v0``, checked once, shared by the single and the vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_envs.environment_arguments import RENDER_MODES, check_choice, environment_reward, positive_int
from lm_envs.errors import ConfigurationError
from lm_envs.stopping import stop_strings

if TYPE_CHECKING:
    from lm_envs.qa.questions import Questions
    from lm_envs.rewards import RewardSum

DEFAULT_DATASET = "passages"
ACTIONS: tuple[str, ...] = ("tokens", "choice")


@dataclass(frozen=True)
class QAConfig:
    """Arguments of ``QA-v0``; :class:`lm_envs.qa.env.QAEnv` documents them.

    Raises:
        ConfigurationError: A value cannot work, or two arguments exclude each other.
        UnknownNameError: ``actions`` or ``render_mode`` is not one of the known names.
    """

    model: str = "tiny"
    dataset: Any = None
    dataset_kwargs: Mapping[str, Any] | None = None
    reward: Any = None
    shaping: bool = False
    answer: Any = None
    actions: str = "tokens"
    constrain: bool = False
    max_prompt_tokens: int = 96
    max_new_tokens: int = 16
    stop: str | Sequence[str] | None = None
    split: str = "train"
    group_size: int = 1
    render_mode: str | None = None
    device: str = "cpu"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading anything."""
        for name in ("max_prompt_tokens", "max_new_tokens", "group_size"):
            object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        object.__setattr__(self, "stop", stop_strings(self.stop))
        check_choice("actions", self.actions, ACTIONS)
        if self.render_mode is not None:
            check_choice("render_mode", self.render_mode, RENDER_MODES)
        if self.dataset is None:
            object.__setattr__(self, "dataset", DEFAULT_DATASET)
        kwargs = {} if self.dataset_kwargs is None else self.dataset_kwargs
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise ConfigurationError(
                f"dataset_kwargs must be a mapping of the data set's arguments to values, got {self.dataset_kwargs!r}"
            )
        object.__setattr__(self, "dataset_kwargs", dict(kwargs))
        if self.constrain and self.actions == "choice":
            raise ConfigurationError(
                "constrain=True restricts the tokens of answers to the choices; with actions='choice' an action is a "
                "choice already. Leave one of them out"
            )

    @property
    def min_new_tokens(self) -> int:
        """An answer may be empty."""
        return 0

    @property
    def max_tokens(self) -> int:
        """Length of an observation: a choice needs no room for an answer."""
        return self.max_prompt_tokens + (self.max_new_tokens if self.actions == "tokens" else 0)

    def load_questions(self) -> Questions:
        """The questions of the split.

        Raises:
            ConfigurationError: Choices are asked for, and the answers are free text.
            DataError: The data are missing or malformed.
            UnknownNameError: There is no such data set or split.
        """
        from lm_envs.qa.sources import load_questions

        questions = load_questions(self.dataset, self.split, dataset_kwargs=self.dataset_kwargs)
        if not questions.max_choices and (self.constrain or self.actions == "choice"):
            asked = "constrain=True" if self.constrain else "actions='choice'"
            raise ConfigurationError(
                f"{asked} needs questions with choices, and the answers of {self.dataset!r} are free text: take a data "
                "set with choices, such as dataset='sentiment', or let the agent write freely: actions='tokens'"
            )
        return questions

    def n_starts(self) -> int:
        """Number of questions that an episode can start with."""
        return len(self.load_questions())

    def load_reward(self, questions: Questions) -> RewardSum:
        """The reward: the user's, else the data set's; it uses this environment's model where it needs one."""
        spec = questions.default_reward if self.reward is None else self.reward
        return environment_reward(spec, self.model, self.device)
