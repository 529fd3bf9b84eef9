"""The tasks of ``TextGen-v0``, by name.

Your own becomes available to ``gym.make("TextGen-v0", task="haiku")`` by

    lm_envs.tasks.register(lm_envs.tasks.Task(name="haiku", description=..., load_split=..., reward=...))
"""

from __future__ import annotations

from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.tasks.keywords import KEYWORDS
from lm_envs.tasks.reviews import REVIEWS
from lm_envs.tasks.summarization import SUMMARIZATION
from lm_envs.tasks.task import SPLITS, Task
from lm_envs.tasks.translation import TRANSLATION

__all__ = ["SPLITS", "Task", "get", "names", "register"]

_TASKS: dict[str, Task] = {task.name: task for task in (REVIEWS, KEYWORDS, SUMMARIZATION, TRANSLATION)}


def register(task: Task) -> Task:
    """Make a task available by its name.

    Raises:
        ConfigurationError: It is no :class:`Task`, or another task has that name already.
    """
    if not isinstance(task, Task):
        raise ConfigurationError(f"expected a lm_envs.tasks.Task, got {type(task).__name__}: {task!r}")
    if _TASKS.get(task.name, task) is not task:
        raise ConfigurationError(f"a task named {task.name!r} is registered already: choose another name")
    _TASKS[task.name] = task
    return task


def get(task: str | Task) -> Task:
    """The task of that name; a :class:`Task` is returned as it is.

    Raises:
        UnknownNameError: Nobody registered a task of that name.
    """
    if isinstance(task, Task):
        return task
    if not isinstance(task, str) or task not in _TASKS:
        raise UnknownNameError.for_name("task", task, _TASKS, "For prompts of your own pass dataset=... instead.")
    return _TASKS[task]


def names() -> list[str]:
    """The names of all registered tasks, sorted."""
    return sorted(_TASKS)
