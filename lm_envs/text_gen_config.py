"""The arguments of ``TextGen-v0``, checked once, shared by the single and the vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_envs import tasks
from lm_envs.environment_arguments import RENDER_MODES, as_int, check_choice, environment_reward, positive_int
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.stopping import stop_strings
from lm_envs.tasks.task import MAX_NEW_TOKENS, MAX_PROMPT_TOKENS

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset
    from lm_envs.rewards import RewardSum
    from lm_envs.tasks import Task

DEFAULT_TASK = "reviews"
LONG_PROMPT_POLICIES: tuple[str, ...] = ("truncate", "raise")
# what every reward is called with; a column of that name would hide it
RESERVED_COLUMNS: tuple[str, ...] = ("prompts", "completions", "prompt_ids", "completion_ids")


@dataclass(frozen=True)
class TextGenConfig:
    """Arguments of ``TextGen-v0``; :class:`lm_envs.text_gen.TextGenEnv` documents them.

    Raises:
        ConfigurationError: A value cannot work, or two arguments exclude each other.
        UnknownNameError: ``on_long_prompt`` or ``render_mode`` is not one of the known names.
    """

    model: str = "tiny"
    task: str | Task | None = None
    dataset: Any = None
    dataset_kwargs: Mapping[str, Any] | None = None
    reward: Any = None
    shaping: bool = False
    max_prompt_tokens: Any = None  # an int once it is checked, the task's for None
    max_new_tokens: Any = None  # likewise
    min_new_tokens: int = 0
    stop: str | Sequence[str] | None = None
    split: str = "train"
    group_size: int = 1
    on_long_prompt: str = "truncate"
    prompt_column: str = "prompt"
    columns: Sequence[str] | None = None
    render_mode: str | None = None
    device: str = "cpu"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading anything."""
        self._set_room()
        object.__setattr__(self, "group_size", positive_int("group_size", self.group_size))
        object.__setattr__(self, "min_new_tokens", _min_new_tokens(self.min_new_tokens, self.max_new_tokens))
        object.__setattr__(self, "stop", stop_strings(self.stop))
        check_choice("on_long_prompt", self.on_long_prompt, LONG_PROMPT_POLICIES)
        if self.render_mode is not None:
            check_choice("render_mode", self.render_mode, RENDER_MODES)
        self._check_own()

    def _set_room(self) -> None:
        """Fill in the task's room for prompt and completion where the user names none."""
        task = self.load_task()
        prompt_room = MAX_PROMPT_TOKENS if task is None else task.max_prompt_tokens
        new_room = MAX_NEW_TOKENS if task is None else task.max_new_tokens
        for name, default in (("max_prompt_tokens", prompt_room), ("max_new_tokens", new_room)):
            given = getattr(self, name)
            object.__setattr__(self, name, positive_int(name, default if given is None else given))

    def _check_own(self) -> None:
        """Check what stands around the user's own data."""
        kwargs = {} if self.dataset_kwargs is None else self.dataset_kwargs
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise ConfigurationError(
                f"dataset_kwargs must be a mapping of the data's arguments to values, got {self.dataset_kwargs!r}"
            )
        object.__setattr__(self, "dataset_kwargs", dict(kwargs))
        if kwargs and (self.task is None or self.dataset is None):
            raise ConfigurationError(
                f"dataset_kwargs={dict(kwargs)!r} tell how a task reads data of your own: pass task=... and "
                "dataset=... with them, or leave them out"
            )
        if self.task is not None and self.dataset is not None:
            tasks.get(self.task).check_own(dict(kwargs))
        elif self.dataset is not None and self.reward is None:
            raise ConfigurationError(
                "a dataset needs a reward: pass reward=..., a function reward(prompts, completions, "
                "**columns) that returns one number a completion, a registered name "
                "(lm_envs.rewards.names(); on the command line --reward NAME), or a mapping of these to weights"
            )

    @property
    def max_tokens(self) -> int:
        """Length of an observation."""
        return self.max_prompt_tokens + self.max_new_tokens

    def load_task(self) -> Task | None:
        """The task, looked up by name; None where the user brought a dataset and names none.

        Raises:
            UnknownNameError: Nobody registered a task of that name.
        """
        if self.task is None and self.dataset is not None:
            return None
        return tasks.get(DEFAULT_TASK if self.task is None else self.task)

    def load_dataset(self, task: Task | None) -> PromptDataset:
        """The prompts of the split, with their columns.

        Raises:
            DataError: The data is missing, empty or malformed, or a column has a reserved name.
            UnknownNameError: There is no such split or column.
        """
        from lm_envs.data import PromptDataset, load_dataset

        if task is not None and self.dataset is None:
            dataset = task.load(self.split)
        elif task is not None and task.read_own is not None:
            dataset = task.read_own(self.dataset, self.split, self.columns, **(self.dataset_kwargs or {}))
        elif isinstance(self.dataset, PromptDataset):
            dataset = self.dataset
        else:
            dataset = load_dataset(
                self.dataset, prompt_column=self.prompt_column, split=self.split, columns=self.columns
            )
        return _checked_dataset(dataset)

    def n_starts(self) -> int:
        """Number of prompts that an episode can start with."""
        return len(self.load_dataset(self.load_task()))

    def load_reward(self, task: Task | None) -> RewardSum:
        """The reward: the user's, else the task's; it uses this environment's model where it needs one."""
        spec = task.reward if self.reward is None and task is not None else self.reward
        return environment_reward(spec, self.model, self.device)


def _min_new_tokens(value: Any, max_new_tokens: int) -> int:
    number = as_int(value)
    if number is None or not 0 <= number <= max_new_tokens:
        raise ConfigurationError(
            f"min_new_tokens must be an integer from 0 to max_new_tokens={max_new_tokens}, got {value!r}: "
            "an episode cannot be longer than its budget. Lower it, or raise max_new_tokens"
        )
    return number


def _checked_dataset(dataset: PromptDataset) -> PromptDataset:
    for name in RESERVED_COLUMNS:
        if name in dataset.columns:
            raise DataError(
                f"the dataset has a column named {name!r}, which rewards receive from the environment: "
                "rename it or leave it out by columns=[...]"
            )
    return dataset
