"""What a task is: prompts, a default reward, room for texts, and perhaps a criterion of success."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lm_envs.environment_arguments import positive_int
from lm_envs.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset

SPLITS: tuple[str, ...] = ("train", "validation", "test")
MAX_PROMPT_TOKENS = 32
MAX_NEW_TOKENS = 32


@dataclass(frozen=True, eq=False)
class Task:
    """A named source of prompts with its reward.

    Attributes:
        name: The name under which ``gym.make("TextGen-v0", task=name)`` finds it.
        description: One sentence: what the agent has to write.
        load_split: Called with the name of a split, returns its prompts and columns; must be deterministic.
        reward: The default reward, anything that :func:`lm_envs.rewards.make_reward` takes.
        is_success: Called as ``is_success(prompts, completions, **columns)`` for the episodes that ended,
            returns one bool each, which becomes ``info["is_success"]``. None: the task has no such criterion.
        splits: The names of the splits.
        max_prompt_tokens: Room for a prompt, where the environment is not told.
        max_new_tokens: The token budget, where the environment is not told.
        read_own: Called as ``read_own(dataset, split, columns, **dataset_kwargs)`` with data of the user's own, returns
            prompts with the columns that ``reward`` and ``is_success`` read; a column ``reference`` among them has to
            fit into the token budget. None: the task has its own prompts only.
    """

    name: str
    description: str
    load_split: Callable[[str], PromptDataset]
    reward: Any
    is_success: Callable[..., list[bool]] | None = None
    splits: tuple[str, ...] = SPLITS
    max_prompt_tokens: int = MAX_PROMPT_TOKENS
    max_new_tokens: int = MAX_NEW_TOKENS
    read_own: Callable[..., PromptDataset] | None = None

    def __post_init__(self) -> None:
        """Check the types that would otherwise fail far from here."""
        if not self.name or not isinstance(self.name, str):
            raise ConfigurationError(f"a task's name must be a non-empty string, got {self.name!r}")
        if not callable(self.load_split):
            raise ConfigurationError(
                f"load_split of task {self.name!r} must be a function of a split's name that returns a "
                f"PromptDataset, got {self.load_split!r}"
            )
        if self.reward is None:
            raise ConfigurationError(f"task {self.name!r} needs a reward: a function, a registered name or a mapping")
        for name in ("max_prompt_tokens", "max_new_tokens"):
            positive_int(f"{name} of task {self.name!r}", getattr(self, name))

    def load(self, split: str) -> PromptDataset:
        """The prompts of a split, loaded once a process.

        Raises:
            UnknownNameError: The task has no such split.
        """
        if split not in self.splits:
            raise UnknownNameError.for_name(f"split of task {self.name!r}", split, self.splits)
        return _load_split(self, split)

    def check_own(self, dataset_kwargs: dict[str, Any]) -> None:
        """Check that data of the user's own can take the place of the task's, without reading them.

        Raises:
            ConfigurationError: They cannot, or there is no such argument.
        """
        if self.read_own is None:
            raise ConfigurationError(
                f"got both task={self.name!r} and a dataset: a task brings its own prompts. Pass one of "
                "the two; to score your own prompts as a task does, pass dataset=... and reward=..."
            )
        known = [name for name in inspect.signature(self.read_own).parameters if name not in _GIVEN]
        for name in dataset_kwargs:
            if name not in known:
                error = UnknownNameError.for_name(f"argument of the dataset of task {self.name!r}", name, known)
                raise ConfigurationError(f"dataset_kwargs: {error}")


_GIVEN = ("dataset", "split", "columns")


@lru_cache(maxsize=16)
def _load_split(task: Task, split: str) -> PromptDataset:
    return task.load_split(split)
