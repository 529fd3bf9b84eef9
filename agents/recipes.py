"""What a training run is: its settings, and where their default numbers stand."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.algorithms import check_algorithm
from lm_envs.errors import CheckpointError, ConfigurationError, UnknownNameError

# ------------------------------------------------------------------------------------------------------------------
# The numbers. A run takes those of every task, its model's, its algorithm's, then those of its (environment, task).
# ------------------------------------------------------------------------------------------------------------------

EVERY_TASK: dict[str, Any] = {"steps": 120_000, "n_envs": 64, "kl_coef": 0.05, "kl_target": 7.0}

LEARNING_RATES = {"tiny": "lin_2e-3"}  # by model: a pretrained model of real size bears far less
OTHER_LEARNING_RATE = "lin_1e-5"

BY_ALGORITHM: dict[str, dict[str, Any]] = {
    "ppo": {
        "n_steps": 32,
        "batch_size": 1024,
        "n_epochs": 1,
        "gamma": 1.0,
        "gae_lambda": 0.95,
        "ent_coef": 0.0,
        "vf_coef": 0.5,
    },
    "a2c": {
        "n_steps": 32,
        "gamma": 1.0,
        "gae_lambda": 0.95,
        "ent_coef": 0.0,
        "vf_coef": 0.5,
        "use_rms_prop": False,
        "normalize_advantage": True,
    },
}

# (environment, task) -> settings; "hyperparameters" -> {algorithm: hyperparameters}
BY_TASK: dict[tuple[str, str], dict[str, Any]] = {
    ("TextGen-v0", "reviews"): {"steps": 120_000},
    ("TextGen-v0", "keywords"): {"steps": 200_000},
}

SMALL_WORLD_TASKS = ("reviews",)
"""Tasks whose prompt and completion together are text that ``lm_envs.world`` can check: the reward ``grammar``."""

DEFAULT_TASKS = {"TextGen-v0": "reviews"}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; saved as ``config.json``. Build it with :func:`make_config` to get the defaults.

    Attributes:
        env_id: A registered environment.
        task: A registered task; None with ``dataset``.
        dataset: The user's own prompts: a file, a folder or an id of the ``datasets`` hub.
        reward: A registered name, a mapping of names to weights, or None for the task's own.
        model: Alias, hub id or folder of the language model.
        algorithm: A key of :data:`agents.algorithms.ALGORITHMS`.
        steps: Environment steps, that is tokens, of the whole run.
        seed: Seed of everything random.
        n_envs: Environments side by side.
        env_kwargs: Further arguments of the environment.
        hyperparameters: Arguments of the algorithm and of the policy.
        kl_coef: Penalty per nat of divergence from the pretrained model; with ``kl_target`` its starting value.
        kl_target: Divergence in nats per episode that the penalty is steered to; None keeps ``kl_coef`` fixed.
        trainable: ``"all"``, ``"top:N"`` or ``"heads"``.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"``.
        eval_prompts: Prompts of the test split that the evaluation before and after uses.
        early_stopping: Stop after so many evaluations on the validation split without a new best; None: never.
        checkpoint_every: Steps between checkpoints.
        threads: CPU threads of torch; None leaves torch's choice.

    Raises:
        ConfigurationError: A value cannot work.
        UnknownNameError: There is no such environment, task or algorithm.
    """

    env_id: str = "TextGen-v0"
    task: str | None = None
    dataset: str | None = None
    reward: str | dict[str, float] | None = None
    model: str = "tiny"
    algorithm: str = "ppo"
    steps: int = EVERY_TASK["steps"]
    seed: int = 0
    n_envs: int = EVERY_TASK["n_envs"]
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    kl_coef: float = EVERY_TASK["kl_coef"]
    kl_target: float | None = EVERY_TASK["kl_target"]
    trainable: str = "all"
    dtype: str = "float32"
    device: str = "auto"
    eval_prompts: int = 256
    early_stopping: int | None = None
    checkpoint_every: int = 20_000
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check names and numbers; nothing is loaded."""
        check_names(self.env_id, self.task, self.dataset)
        check_algorithm(self.algorithm)
        for name in ("steps", "n_envs", "eval_prompts", "checkpoint_every", "early_stopping", "threads"):
            value = getattr(self, name)
            if value is not None or name not in ("early_stopping", "threads"):
                _check_integer(name, value, least=1)
        _check_integer("seed", self.seed, least=0)
        if not _is_number(self.kl_coef) or self.kl_coef < 0:
            raise ConfigurationError(f"kl_coef must be a number of at least 0; got {self.kl_coef!r}.")
        if self.kl_target is not None and not (_is_number(self.kl_target) and self.kl_target > 0):
            raise ConfigurationError(
                f"kl_target must be a number of nats above 0, or None for a fixed kl_coef; got {self.kl_target!r}."
            )
        check_env_kwargs(self.env_kwargs)

    @property
    def label(self) -> str:
        """The task, or the name of the data set's file."""
        from pathlib import PurePath

        return str(self.task) if self.dataset is None else PurePath(self.dataset).stem

    def environment_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for ``gym.make``, without the split."""
        given = {"task": self.task, "dataset": self.dataset, "reward": self.reward}
        chosen = {key: value for key, value in given.items() if value is not None}
        return {**self.env_kwargs, **chosen, "model": self.model, "device": self.device}

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The settings that :meth:`to_dict` gave.

        Raises:
            CheckpointError: There are settings that this version does not know.
        """
        known = {entry.name for entry in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise CheckpointError(
                f"the configuration has settings that this version does not know: {', '.join(unknown)}. "
                "Was it written by a newer version?"
            )
        return cls(**values)


def make_config(
    env_id: str = "TextGen-v0",
    *,
    task: str | None = None,
    dataset: str | None = None,
    algorithm: str = "ppo",
    hyperparameters: Mapping[str, Any] | None = None,
    **settings: Any,
) -> TrainConfig:
    """Fill in the recipe's numbers for what is not given.

    Args:
        env_id: A registered environment.
        task: A registered task; None for the environment's default, or with ``dataset``.
        dataset: The user's own prompts.
        algorithm: A key of :data:`agents.algorithms.ALGORITHMS`.
        hyperparameters: Take precedence over the recipe's.
        **settings: Any other attribute of :class:`TrainConfig`; None leaves the recipe's.

    Raises:
        ConfigurationError: A value cannot work.
        UnknownNameError: There is no such environment, task, algorithm or setting.
    """
    check_names(env_id, task, dataset)
    check_algorithm(algorithm)
    if task is None and dataset is None:
        task = DEFAULT_TASKS.get(env_id)
    known = {entry.name for entry in dataclasses.fields(TrainConfig)}
    for name in settings:
        if name not in known:
            raise UnknownNameError.for_name("setting of a run", name, known)
    recipe = dict(BY_TASK.get((env_id, task or ""), {}))
    of_task = recipe.pop("hyperparameters", {}).get(algorithm, {})
    given = {name: value for name, value in settings.items() if value is not None}
    of_model = {"learning_rate": LEARNING_RATES.get(given.get("model", "tiny"), OTHER_LEARNING_RATE)}
    if given.get("kl_target") == 0:  # how the command line asks for a fixed coefficient
        given["kl_target"] = None
    return TrainConfig(
        env_id=env_id,
        task=task,
        dataset=dataset,
        algorithm=algorithm,
        hyperparameters={**of_model, **BY_ALGORITHM.get(algorithm, {}), **of_task, **(hyperparameters or {})},
        **{**EVERY_TASK, **recipe, **given},
    )


def check_names(env_id: str, task: str | None, dataset: str | None) -> None:
    """Check environment and task; imports neither torch nor transformers.

    Raises:
        ConfigurationError: Both a task and a data set are given.
        UnknownNameError: There is no such environment or task.
    """
    import lm_envs

    if env_id not in lm_envs.ENV_IDS:
        raise UnknownNameError.for_name("environment", env_id, lm_envs.ENV_IDS)
    if task is not None and dataset is not None:
        raise ConfigurationError(f"got both task {task!r} and a data set; a task brings its own prompts. Pass one.")
    if task is not None:
        lm_envs.tasks.get(task)


def check_env_kwargs(env_kwargs: Mapping[str, Any]) -> None:
    """Check the names of an environment's further arguments.

    Raises:
        ConfigurationError: One has a setting of its own.
        UnknownNameError: The environment has no such argument.
    """
    from lm_envs.text_gen_config import TextGenConfig

    known = {entry.name for entry in dataclasses.fields(TextGenConfig)}
    for key in env_kwargs:
        if key not in known:
            raise UnknownNameError.for_name("argument of the environment", key, known - set(_NOT_ENV_KWARGS))
        if key in _NOT_ENV_KWARGS:
            raise ConfigurationError(f"{key!r} is no further argument of the environment: it has a setting of its own.")


_NOT_ENV_KWARGS = ("model", "task", "dataset", "reward", "split", "device", "render_mode")


def _check_integer(name: str, value: Any, least: int) -> None:
    try:
        wrong = isinstance(value, bool) or operator.index(value) < least
    except TypeError:
        wrong = True
    if wrong:
        raise ConfigurationError(f"{name} must be an integer of at least {least}; got {value!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
