"""The folder that a training run leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.atomic_files import remove_leftovers, write_json
from agents.recipes.train_config import TrainConfig
from lm_envs.errors import CheckpointError, ConfigurationError


class RunFolder:
    """Where each file of a run is.

    Args:
        path: The folder.

    Attributes:
        path: The folder.
        config: ``config.json``: the settings, and the versions of the libraries that ran.
        progress: ``progress.csv``: Stable-Baselines3's log.
        samples: ``samples.jsonl``: completions of fixed validation prompts as training goes on.
        curve: ``learning_curve.png``.
        evaluation: ``evaluation.json``: the held-out prompts before and after.
        model: ``model.zip``: the trained model, for the algorithm's ``load``.
        checkpoints: ``checkpoints/``.
        hf: ``hf/``: the trained language model, for ``transformers``.
        tensorboard: ``tensorboard/``: event files.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.progress = self.path / "progress.csv"
        self.samples = self.path / "samples.jsonl"
        self.curve = self.path / "learning_curve.png"
        self.evaluation = self.path / "evaluation.json"
        self.model = self.path / "model.zip"
        self.checkpoints = self.path / "checkpoints"
        self.hf = self.path / "hf"
        self.tensorboard = self.path / "tensorboard"

    def check_new(self) -> None:
        """Check that a new run can begin here.

        Raises:
            ConfigurationError: There is something already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hint = f"Go on with it by --resume {self.path}, or" if self.config.exists() else "Please"
            raise ConfigurationError(f"the run folder {str(self.path)!r} exists already. {hint} choose another folder.")

    def create(self, config: TrainConfig) -> None:
        """Make the folder of a new run and write its configuration; raises like :meth:`check_new`."""
        self.check_new()
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_json(self.config, {**config.to_dict(), "versions": library_versions()})
        except OSError as error:
            raise ConfigurationError(f"cannot write the run folder {str(self.path)!r}: {error}.") from error

    def open(self) -> TrainConfig:
        """Read the configuration of a run that exists.

        Raises:
            CheckpointError: There is no such run, or its configuration cannot be read.
        """
        if not self.path.is_dir():
            raise CheckpointError(f"there is no run folder {str(self.path)!r}. Pass one that 'lm-envs train' made.")
        try:
            values = json.loads(self.config.read_text(encoding="utf-8"))
            values.pop("versions", None)
            return TrainConfig.from_dict(values)
        except OSError as error:
            raise CheckpointError(
                f"{str(self.path)!r} has no readable config.json, so it is no run folder of 'lm-envs train'. "
                "Pass the run's own folder, not one inside of it."
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{str(self.config)!r} is damaged: {error}") from error

    def read_versions(self) -> dict[str, str]:
        """The versions of the libraries that ran, from ``config.json``; empty if they are not there."""
        values = json.loads(self.config.read_text(encoding="utf-8")).get("versions", {})
        return values if isinstance(values, dict) else {}

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        for folder in (self.path, self.checkpoints):
            if folder.is_dir():
                remove_leftovers(folder)

    def read_evaluation(self) -> dict[str, Any]:
        """What ``evaluation.json`` holds so far; empty if there is nothing usable."""
        try:
            values = json.loads(self.evaluation.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def write_evaluation(self, values: Mapping[str, Any]) -> None:
        """Write ``evaluation.json``."""
        write_json(self.evaluation, dict(values))


def default_folder(config: TrainConfig) -> Path:
    """A new folder's name: ``runs/<environment>-<task>-<algorithm>-seed<seed>-<time>``."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{config.env_id}-{config.label}-{config.algorithm}-seed{config.seed}-{stamp}"


def library_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    import platform
    from importlib import metadata

    versions = {"python": platform.python_version()}
    for name in ("lm-envs", "torch", "stable-baselines3", "transformers", "peft", "gymnasium", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
