"""Options that several commands take together, declared once.

A command that has a parameter of one of these classes is decorated with :func:`takes_options`; the command line then
shows the class's fields as options.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from agents.cli.messages import console
from agents.cli.options import (
    Dataset,
    Device,
    Environment,
    EnvKwarg,
    Reward,
    Task,
    environment_arguments,
    reward_specification,
)

if TYPE_CHECKING:
    from agents.cli.targets import Target


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """What replaces an environment's own arguments."""

    task: Task = None
    dataset: Dataset = None
    reward: Reward = None
    env_kwarg: EnvKwarg = None

    def arguments(self) -> dict[str, Any]:
        """What was given, as arguments of the environment.

        Raises:
            ConfigurationError: An option cannot be read.
            UnknownNameError: There is no such reward.
        """
        given = {"task": self.task, "dataset": self.dataset, "reward": reward_specification(self.reward)}
        return {
            **environment_arguments(self.env_kwarg),
            **{key: value for key, value in given.items() if value is not None},
        }


@dataclass(frozen=True, kw_only=True)
class PolicyOptions(EnvironmentOptions):
    """How a policy writes, and in which environment."""

    deterministic: Annotated[
        bool | None,
        typer.Option(
            "--deterministic/--sampled",
            help="Greedy completions, or sampled ones.",
            show_default="sampled; greedy for value policies",
        ),
    ] = None
    env: Environment = None
    device: Device = "auto"

    def load(self, target: str, split: str) -> Target:
        """Check the options, then load the policy that ``target`` names.

        Raises:
            LMEnvsError: There is no such split, policy or environment.
        """
        from agents.cli.targets import find_source
        from lm_envs.errors import UnknownNameError
        from lm_envs.tasks import SPLITS

        if split not in SPLITS:
            raise UnknownNameError.for_name("split", split, SPLITS)
        source = find_source(target, self.env, self.arguments())
        with console().status("loading the model"):
            return source.load(self.device)

    def greedy(self, target: Target) -> bool:
        """Whether completions are greedy: as asked for, else for value policies."""
        from agents.policies.value_policies import is_value_policy

        return is_value_policy(target.policy) if self.deterministic is None else self.deterministic


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let the command line give the fields of the command's :class:`EnvironmentOptions` parameter one by one."""
    hints = get_type_hints(command, include_extras=True)
    name = next(key for key, hint in hints.items() if inspect.isclass(hint) and issubclass(hint, EnvironmentOptions))
    options = hints.pop(name)
    hints |= get_type_hints(options, include_extras=True)

    @functools.wraps(command)
    def flat(**given: Any) -> None:
        own = {field.name: given.pop(field.name) for field in fields(options)}
        command(**given, **{name: options(**own)})

    flat.__annotations__ = hints
    flat.__signature__ = inspect.Signature(_parameters(command, name, options, hints))  # type: ignore[attr-defined]
    return flat


def _parameters(command: Any, name: str, options: type, hints: dict[str, Any]) -> list[inspect.Parameter]:
    """The command's parameters with those of ``options`` in the place of ``name``."""
    kind = inspect.Parameter.KEYWORD_ONLY
    found: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == name:
            new = [(field.name, field.default) for field in fields(options)]
        else:
            new = [(parameter.name, parameter.default)]
        found += [inspect.Parameter(key, kind, default=default, annotation=hints[key]) for key, default in new]
    return found
