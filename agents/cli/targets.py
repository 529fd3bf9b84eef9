"""What the user means by a run folder, a saved model or a model's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.recipes.env_wrappers import Entries, WrapperStack, wrapper_stack
from agents.recipes.train_config import check_names, environment_arguments
from lm_envs import ENV_IDS
from lm_envs.errors import CheckpointError, UnknownNameError

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

    from agents.recipes.train_config import TrainConfig
    from agents.training_runs.folder import RunFolder


DEFAULT_MODEL = "tiny"


@dataclass(frozen=True)
class Source:
    """Where a policy comes from and what it was trained in; nothing heavy is loaded yet.

    Attributes:
        saved: The zip; None for a pretrained model.
        model: The name of the language model; None: the zip tells.
        env_id: The environment.
        env_kwargs: Its arguments.
        env_wrapper: Its wrappers.
        trained_in: The environment of the run; None where there is no run.
    """

    saved: Path | None
    model: str | None
    env_id: str
    env_kwargs: dict[str, Any]
    env_wrapper: Entries = field(default_factory=list)
    trained_in: str | None = None

    def load(self, device: str = "auto") -> Target:
        """Load the policy.

        Raises:
            LMEnvsError: The zip is damaged, or model and environment do not fit.
        """
        if self.saved is not None:
            from agents.policies.saved_policy import load_policy

            policy = load_policy(self.saved, device)
            kwargs = {"model": getattr(policy, "model_name", DEFAULT_MODEL), **self.env_kwargs}
            return Target(policy, self.env_id, kwargs, wrapper_stack(self.env_wrapper, device), trained=True)
        from agents.evaluation.pretrained_policy import pretrained_policy

        kwargs = {**self.env_kwargs, "model": self.model}
        return Target(pretrained_policy(self.env_id, kwargs, device), self.env_id, kwargs)


@dataclass(frozen=True)
class Target:
    """A policy with its environment.

    Attributes:
        policy: The policy.
        env_id: The environment.
        env_kwargs: Its arguments.
        wrapper: What wraps it, for ``wrapper_class``; None for nothing.
        trained: Whether it comes out of a training.
    """

    policy: BasePolicy
    env_id: str
    env_kwargs: dict[str, Any]
    wrapper: WrapperStack | None = None
    trained: bool = False


def find_source(name: str, env_id: str | None, overrides: Mapping[str, Any]) -> Source:
    """Find out what ``name`` is.

    Args:
        name: A run folder, a zip, or the name of a model; or the id of an environment, for the default model in it.
        env_id: The environment; None for the run's own, or the default.
        overrides: Environment arguments that replace the run's own.

    Raises:
        CheckpointError: It looks like a path, and nothing is there; or a run has no saved model.
        UnknownNameError: There is no such environment, task or argument of the environment.
    """
    if name in ENV_IDS and not Path(name).exists():
        name, env_id = DEFAULT_MODEL, env_id or name
    path = Path(name)
    config = run_config(path)
    env_id = env_id or ("TextGen-v0" if config is None else config.env_id)
    kwargs = _environment_kwargs(config, env_id, overrides)
    run = ([], None) if config is None else (config.env_wrapper, config.env_id)
    if path.is_dir() and config is not None:
        return Source(_newest_model(path), None, env_id, kwargs, *run)
    if path.suffix == ".zip":
        if not path.is_file():
            raise CheckpointError(f"there is no saved model {name!r}.")
        return Source(path, None, env_id, kwargs, *run)
    if not path.exists() and (path.is_absolute() or path.parts[0] in (".", "..", "runs")):
        raise CheckpointError(f"there is no run folder, saved model or model folder {name!r}.")
    from lm_envs.models import resolve

    resolve(name)
    return Source(None, name, env_id, kwargs)


def environment_of(name: str, overrides: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """An environment without its policy.

    Args:
        name: Id of an environment, or a run folder.
        overrides: Arguments that replace the run's own.

    Returns:
        The id, the arguments; ``model`` is among them.

    Raises:
        UnknownNameError: There is no such environment, task or argument of the environment.
    """
    config = run_config(Path(name))
    env_id = name if config is None else config.env_id
    return env_id, {"model": DEFAULT_MODEL, **_environment_kwargs(config, env_id, overrides)}


def _environment_kwargs(config: TrainConfig | None, env_id: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A run's arguments of the environment, if it is the run's, with those that replace them; all of them checked."""
    own = {} if config is None else config.evaluation_kwargs()
    if config is not None and config.env_id != env_id:
        own = {"model": config.model}
    kwargs = {key: value for key, value in {**own, **overrides}.items() if value is not None}
    if "task" in overrides and "dataset" not in overrides:
        for name in ("dataset", "dataset_kwargs"):
            kwargs.pop(name, None)
    if "dataset" in overrides and "task" not in overrides and not _reads_own(kwargs.get("task")):
        kwargs.pop("task", None)
    if "task" in overrides and "reward" not in overrides:  # a task brings its own
        kwargs.pop("reward", None)
    check_names(env_id, kwargs.get("task"), kwargs.get("dataset"))
    known = environment_arguments(env_id)
    for key in kwargs:
        if key not in known:
            raise UnknownNameError.for_name(f"argument of {env_id}", key, known)
    return kwargs


def _reads_own(task: str | None) -> bool:
    """Whether data of the user's own can take the place of a task's."""
    from lm_envs import tasks

    return task is not None and tasks.get(task).read_own is not None


def run_config(path: Path) -> TrainConfig | None:
    """The configuration of the run that a path is, or lies in."""
    folder = run_folder(path)
    return None if folder is None else folder.open()


def run_folder(path: Path) -> RunFolder | None:
    """The run that a path is, or lies in; None where it is something else."""
    from agents.training_runs.folder import RunFolder

    for folder in (path, path.parent, path.parent.parent) if path.suffix == ".zip" else (path,):
        if (folder / "config.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            return RunFolder(folder)
    return None


def _newest_model(run: Path) -> Path:
    from agents.cli.messages import say
    from agents.training_runs.checkpoints import checkpoints
    from agents.training_runs.folder import RunFolder

    folder = RunFolder(run)
    if folder.model.is_file():
        return folder.model
    for checkpoint in checkpoints(folder.checkpoints):
        say("note", "yellow", f"the run is not finished; its checkpoint {checkpoint.name} is used.")
        return checkpoint
    raise CheckpointError(f"the run {str(run)!r} has neither model.zip nor a checkpoint yet.")
