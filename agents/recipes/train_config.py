"""What a training run is: its settings, and how those that nobody gives are filled in from a recipe."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from agents.recipes.algorithms import ALGORITHMS, check_algorithm
from agents.recipes.env_wrappers import WrapperStack, read_entries, with_candidates, wrapper_stack
from agents.recipes.files import Recipe, read_recipe, recipe_file
from lm_envs.environment_configs import config_class
from lm_envs.errors import CheckpointError, ConfigurationError, UnknownNameError

SMALL_WORLD_TASKS = ("reviews",)
"""Tasks whose prompt and completion together are text that ``lm_envs.world`` can check: the reward ``grammar``."""

DEFAULT_TASKS = {"TextGen-v0": "reviews"}
DEFAULT_SUBJECTS = {"Dialogue-v0": "agenda", "QA-v0": "passages", "Tagging-v0": "entities"}
"""What an environment without tasks is about where nobody says."""
_INSTEAD_OF_TASKS = {
    "Dialogue-v0": "What a conversation is about comes from its partner: pass --env-kwarg partner=NAME, or a data set",
    "QA-v0": "What is asked is its data set: pass --dataset, a registered name as in 'lm-envs list' or a file",
    "Tagging-v0": "What is labelled is its data set: pass --dataset, a file in the CoNLL format",
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; saved as ``config.json``. Build it with :func:`make_config` to get the defaults.

    Attributes:
        env_id: A registered environment.
        task: A registered task; with ``dataset`` one that reads data of the user's own, or None; None for environments
            without tasks.
        dataset: The user's own prompts: a file, a folder or an id of the ``datasets`` hub.
        reward: A registered name, a mapping of names to weights, or None for the task's own.
        model: Alias, hub id or folder of the language model.
        algorithm: A key of :data:`agents.recipes.algorithms.ALGORITHMS`.
        policy: Import path, or a name that the algorithm knows, such as ``"MlpPolicy"``.
        steps: Environment steps, that is tokens, of the whole run.
        seed: Seed of everything random.
        n_envs: Environments side by side.
        env_kwargs: Further arguments of the environment.
        env_wrapper: Wrappers of the environment, innermost first, ``{import path: keyword arguments}`` each: candidate
            actions, hidden states as observations, or your own; see :mod:`agents.recipes.env_wrappers`.
        hyperparameters: Arguments of the algorithm and of the policy.
        kl_coef: Penalty per nat of divergence from the pretrained model; with ``kl_target`` its starting value. 0 for
            none, which off-policy algorithms need.
        kl_target: Divergence in nats per episode that the penalty is steered to; None keeps ``kl_coef`` fixed.
        kl_reference: The model from which divergence is penalised, for example the one that a first round of feedback
            began with; None for ``model`` itself.
        kl_stop: Divergence in nats per episode above which training stops; None: never.
        mask_every: With NLPO, rollouts from one copy of the policy into its masking policy to the next; None for the
            callback's own number.
        trainable: ``"all"``, ``"top:N"``, ``"lora"`` or ``"heads"``, for policies that are language models.
        dtype: ``"float32"`` or ``"bfloat16"``, for policies that are language models.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"``.
        eval_prompts: Prompts of the test split that the evaluation before and after uses.
        eval_every: Steps between evaluations on the validation split, which are logged; None: none.
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
    policy: str = "agents.LMActorCriticPolicy"
    steps: int = 120_000
    seed: int = 0
    n_envs: int = 64
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    env_wrapper: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    kl_coef: float = 0.0
    kl_target: float | None = None
    kl_reference: str | None = None
    kl_stop: float | None = None
    mask_every: int | None = None
    trainable: str = "all"
    dtype: str = "float32"
    device: str = "auto"
    eval_prompts: int = 256
    eval_every: int | None = None
    early_stopping: int | None = None
    checkpoint_every: int = 20_000
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check names and numbers; nothing is loaded."""
        check_names(self.env_id, self.task, self.dataset)
        check_algorithm(self.algorithm)
        for name in ("steps", "n_envs", "eval_prompts", "checkpoint_every"):
            _check_integer(name, getattr(self, name), least=1)
        for name in ("eval_every", "early_stopping", "mask_every", "threads"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), least=1)
        _check_integer("seed", self.seed, least=0)
        if not _is_number(self.kl_coef) or self.kl_coef < 0:
            raise ConfigurationError(f"kl_coef must be a number of at least 0; got {self.kl_coef!r}.")
        if self.kl_target is not None and not (_is_number(self.kl_target) and self.kl_target > 0):
            raise ConfigurationError(
                f"kl_target must be a number of nats above 0, or None for a fixed kl_coef; got {self.kl_target!r}."
            )
        if self.kl_stop is not None and not (_is_number(self.kl_stop) and self.kl_stop > 0):
            raise ConfigurationError(f"kl_stop must be a number of nats above 0, or None; got {self.kl_stop!r}.")
        if not self.on_policy and self.kl_stop is not None:
            raise ConfigurationError(
                f"kl_stop limits the divergence of a policy's rollouts; {self.algorithm} learns values from a replay "
                "buffer and has none. Leave it out, or use early_stopping."
            )
        if not self.on_policy and (self.kl_coef > 0 or self.kl_target is not None or self.kl_reference is not None):
            raise ConfigurationError(
                f"kl_coef and kl_target penalise the divergence of a policy's rollouts; {self.algorithm} learns values "
                "from a replay buffer and has neither. Leave them out, or use an on-policy algorithm such as ppo. To "
                "keep a value learner's texts well-formed, give it candidates (--candidates 16) and a reward for that."
            )
        read_entries(self.env_wrapper)
        check_env_kwargs(self.env_kwargs, self.env_id)

    @property
    def on_policy(self) -> bool:
        """Whether the algorithm learns from rollouts of its present policy."""
        return ALGORITHMS[self.algorithm].on_policy

    @property
    def label(self) -> str:
        """The task, the partner, or the name of the data set's file."""
        if self.dataset is not None:
            return PurePath(self.dataset).stem
        return str(self.task or self.env_kwargs.get("partner") or DEFAULT_SUBJECTS[self.env_id])

    def environment_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for ``gym.make``, without the split."""
        given = {"task": self.task, "dataset": self.dataset, "reward": self.reward}
        chosen = {key: value for key, value in given.items() if value is not None}
        return {**self.env_kwargs, **chosen, "model": self.model, "device": self.device}

    def evaluation_kwargs(self) -> dict[str, Any]:
        """The same for evaluations: each prompt once, and no shaping, which scores every prefix for the same return."""
        plain = {"shaping": False} if "shaping" in environment_arguments(self.env_id) else {}
        kwargs = {key: value for key, value in self.environment_kwargs().items() if key != "group_size"}
        return {**kwargs, **plain}

    def wrapper(self) -> WrapperStack | None:
        """What wraps the environment, for ``wrapper_class``; None for nothing."""
        return wrapper_stack(self.env_wrapper, self.device)

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
    model: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    observation: str | None = None,
    candidates: int | None = None,
    conf_file: str | Path | None = None,
    **settings: Any,
) -> TrainConfig:
    """Fill in the recipe's numbers for what is not given; the recipes are the files in ``agents/hyperparameters``.

    Args:
        env_id: A registered environment.
        task: A registered task; None for the environment's default, or, with ``dataset``, none.
        dataset: The user's own prompts.
        algorithm: A key of :data:`agents.recipes.algorithms.ALGORITHMS`.
        model: Alias, hub id or folder of the language model; None for the embedded one.
        hyperparameters: Take precedence over the recipe's.
        env_kwargs: Take precedence over the recipe's.
        observation: ``"tokens"``, which None means, or ``"hidden"``: hidden states of the frozen language model.
        candidates: How many candidates of the language model are the actions, 0 for all tokens; None for the recipe's.
        conf_file: A YAML file in the same format instead of the recipe's.
        **settings: Any other attribute of :class:`TrainConfig`; None leaves the recipe's.

    Raises:
        ConfigurationError: A value cannot work.
        UnknownNameError: There is no such environment, task, algorithm, setting or recipe.
    """
    check_names(env_id, task, dataset)
    check_algorithm(algorithm)
    if task is None and dataset is None:
        task = DEFAULT_TASKS.get(env_id)
    if conf_file is not None and observation is not None:
        raise ConfigurationError("with conf_file, observation has no meaning: the file's env_wrapper says what it is.")
    path = recipe_file(algorithm, observation or "tokens") if conf_file is None else conf_file
    recipe = read_recipe(path, env_id, task, model or TrainConfig.model, (env_kwargs or {}).get("actions"))
    given = {name: value for name, value in settings.items() if value is not None}
    if given.get("kl_target") == 0:  # how the command line asks for a fixed coefficient
        given["kl_target"] = None
    if candidates is not None:
        _check_integer("candidates", candidates, least=0)
        given["env_wrapper"] = with_candidates(given.get("env_wrapper", recipe.env_wrapper), candidates)
    values = {**_from_recipe(recipe, task), **given}
    values["hyperparameters"] = {**values["hyperparameters"], **(hyperparameters or {})}
    values["env_kwargs"] = {**values["env_kwargs"], **(env_kwargs or {})}
    _check_settings(values)
    return TrainConfig(
        env_id=env_id, task=task, dataset=dataset, algorithm=algorithm, model=model or TrainConfig.model, **values
    )


def _from_recipe(recipe: Recipe, task: str | None) -> dict[str, Any]:
    """The recipe as settings; its reward is for its own task only."""
    values = dataclasses.asdict(recipe)
    if values["steps"] is None:
        del values["steps"]
    of_task = values["env_kwargs"].pop("task", None)
    reward = values["env_kwargs"].pop("reward", None)
    if reward is not None and of_task in (None, task):
        values["reward"] = reward
    in_policy = ("trainable", "dtype")
    values |= {key: values["hyperparameters"].pop(key) for key in in_policy if key in values["hyperparameters"]}
    return values


def _check_settings(values: Mapping[str, Any]) -> None:
    known = {entry.name for entry in dataclasses.fields(TrainConfig)}
    for name in values:
        if name not in known:
            raise UnknownNameError.for_name("setting of a run", name, known)


def check_names(env_id: str, task: str | None, dataset: str | None) -> None:
    """Check environment and task; imports neither torch nor transformers.

    Raises:
        ConfigurationError: A task and a data set are given, and the task does not read data of the user's own.
        UnknownNameError: There is no such environment or task.
    """
    import lm_envs

    if env_id not in lm_envs.ENV_IDS:
        raise UnknownNameError.for_name("environment", env_id, lm_envs.ENV_IDS)
    if task is not None and "task" not in environment_arguments(env_id):
        raise ConfigurationError(f"{env_id} has no tasks, got task={task!r}. {_INSTEAD_OF_TASKS[env_id]}")
    if task is not None and lm_envs.tasks.get(task).read_own is None and dataset is not None:
        raise ConfigurationError(f"got both task {task!r} and a data set; a task brings its own prompts. Pass one.")


def environment_arguments(env_id: str) -> set[str]:
    """The names of an environment's arguments."""
    return {entry.name for entry in dataclasses.fields(config_class(env_id))}


def check_env_kwargs(env_kwargs: Mapping[str, Any], env_id: str) -> None:
    """Check the names of an environment's further arguments.

    Raises:
        ConfigurationError: One has a setting of its own.
        UnknownNameError: The environment has no such argument.
    """
    known = environment_arguments(env_id)
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
