"""What a task is: prompts, a default reward, and perhaps a criterion of success."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset

SPLITS: tuple[str, ...] = ("train", "validation", "test")


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
    """

    name: str
    description: str
    load_split: Callable[[str], PromptDataset]
    reward: Any
    is_success: Callable[..., list[bool]] | None = None
    splits: tuple[str, ...] = SPLITS

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

    def load(self, split: str) -> PromptDataset:
        """The prompts of a split, loaded once a process.

        Raises:
            UnknownNameError: The task has no such split.
        """
        if split not in self.splits:
            raise UnknownNameError.for_name(f"split of task {self.name!r}", split, self.splits)
        return _load_split(self, split)


@lru_cache(maxsize=16)
def _load_split(task: Task, split: str) -> PromptDataset:
    return task.load_split(split)
