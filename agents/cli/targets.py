"""What the user means by a run folder, a saved model or a model's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_envs.errors import CheckpointError

if TYPE_CHECKING:
    from agents.policies import LMActorCriticPolicy
    from agents.recipes import TrainConfig


@dataclass(frozen=True)
class Source:
    """Where a policy comes from and what it was trained in; nothing heavy is loaded yet.

    Attributes:
        saved: The zip; None for a pretrained model.
        model: The name of the language model; None: the zip tells.
        env_id: The environment.
        env_kwargs: Its arguments.
    """

    saved: Path | None
    model: str | None
    env_id: str
    env_kwargs: dict[str, Any]

    def load(self, device: str = "auto") -> Target:
        """Load the policy.

        Raises:
            LMEnvsError: The zip is damaged, or model and environment do not fit.
        """
        if self.saved is not None:
            from agents.saved_policy import load_policy

            policy = load_policy(self.saved, device)
            return Target(policy, self.env_id, {"model": policy.model_name, **self.env_kwargs})
        kwargs = {**self.env_kwargs, "model": self.model}
        return Target(_pretrained_policy(str(self.model), self.env_id, kwargs, device), self.env_id, kwargs)


@dataclass(frozen=True)
class Target:
    """A policy with its environment.

    Attributes:
        policy: The policy.
        env_id: The environment.
        env_kwargs: Its arguments.
    """

    policy: LMActorCriticPolicy
    env_id: str
    env_kwargs: dict[str, Any]


def find_source(name: str, env_id: str | None, overrides: Mapping[str, Any]) -> Source:
    """Find out what ``name`` is.

    Args:
        name: A run folder, a zip, or the name of a model.
        env_id: The environment; None for the run's own, or the default.
        overrides: Environment arguments that replace the run's own.

    Raises:
        CheckpointError: It looks like a path, and nothing is there; or a run has no saved model.
        UnknownNameError: There is no such environment or task.
    """
    from agents.recipes import check_names

    path = Path(name)
    config = _run_config(path)
    own = {} if config is None else config.environment_kwargs()
    kwargs = {key: value for key, value in {**own, **overrides}.items() if value is not None}
    for chosen, other in (("task", "dataset"), ("dataset", "task")):
        if chosen in overrides and other not in overrides:
            kwargs.pop(other, None)
    check_names(env_id or "TextGen-v0", kwargs.get("task"), kwargs.get("dataset"))
    env_id = env_id or ("TextGen-v0" if config is None else config.env_id)
    if path.is_dir() and config is not None:
        return Source(_newest_model(path), None, env_id, kwargs)
    if path.suffix == ".zip":
        if not path.is_file():
            raise CheckpointError(f"there is no saved model {name!r}.")
        return Source(path, None, env_id, kwargs)
    if not path.exists() and (path.is_absolute() or path.parts[0] in (".", "..", "runs")):
        raise CheckpointError(f"there is no run folder, saved model or model folder {name!r}.")
    from lm_envs.models import resolve

    resolve(name)
    return Source(None, name, env_id, kwargs)


def _run_config(path: Path) -> TrainConfig | None:
    """The configuration of the run that a path is, or lies in."""
    from agents.training_runs.folder import RunFolder

    for folder in (path, path.parent, path.parent.parent) if path.suffix == ".zip" else (path,):
        if (folder / "config.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            return RunFolder(folder).open()
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


def _pretrained_policy(model: str, env_id: str, env_kwargs: dict[str, Any], device: str) -> LMActorCriticPolicy:
    """The untrained model as a policy for the environment."""
    import gymnasium as gym
    from stable_baselines3.common.utils import get_device

    from agents.policies import LMActorCriticPolicy

    env = gym.make(env_id, **env_kwargs)
    spaces = env.observation_space, env.action_space
    env.close()
    return LMActorCriticPolicy(*spaces, lambda _: 0.0, model=model, trainable="heads").to(get_device(device))
