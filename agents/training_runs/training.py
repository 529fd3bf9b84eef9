"""A training run from its settings to its folder: stock ``learn``, with callbacks around it."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from agents.algorithms import algorithm_class, split_hyperparameters
from agents.evaluation import evaluate, reference_policy
from agents.export import export_hf
from agents.policies import LMActorCriticPolicy
from agents.recipes import TrainConfig
from agents.reference_kl import ReferenceKLCallback
from agents.schedules import with_schedules
from agents.sequence_rollout_buffer import SequenceRolloutBuffer
from agents.token_rewards import TokenRewardsCallback
from agents.training_runs.atomic_files import write_json
from agents.training_runs.callbacks import CheckpointCallback, EarlyStopping, SampleCallback, callback_list
from agents.training_runs.checkpoints import load_newest, restore_random_states, save_model
from agents.training_runs.curve import draw_curve
from agents.training_runs.folder import RunFolder, library_versions
from agents.training_runs.logs import CsvLog, JsonLinesLog
from agents.vec_env import make_lm_vec_env
from lm_envs.errors import ConfigurationError, LMEnvsError, MissingDependencyError

logger = logging.getLogger(__name__)

EVALUATION_SEED = 0
"""Runs with other seeds are measured on the same prompts with the same sampling."""

N_EXAMPLES = 8
SAMPLES_IN_A_RUN = 10
STEPS_PER_LOG_ROW = 2_048  # at most; and a run has about LOG_ROWS at least, if it has as many rollouts
LOG_ROWS = 50

Stage = Callable[[str], None]


def train(
    config: TrainConfig,
    path: str | Path,
    callbacks: Sequence[BaseCallback] = (),
    on_stage: Stage = lambda stage: None,
) -> RunFolder:
    """Run a whole training and leave its folder.

    Args:
        config: The settings, from :func:`agents.recipes.make_config`.
        path: The folder; must be new or empty.
        callbacks: Further callbacks of Stable-Baselines3, for example a progress bar.
        on_stage: Told in a few words what begins now.

    Returns:
        The folder. ``read_evaluation()`` has the held-out results before and after.

    Raises:
        LMEnvsError: Something in ``config`` cannot work; raised before anything is written.
    """
    folder = RunFolder(path)
    folder.check_new()
    on_stage("loading the model")
    kl = ReferenceKLCallback(config.kl_coef, config.kl_target)
    model = build_model(config)
    folder.create(config)
    return _run(config, folder, model, None, [TokenRewardsCallback(), kl, *callbacks], on_stage)


def resume(
    path: str | Path,
    steps: int | None = None,
    callbacks: Sequence[BaseCallback] = (),
    on_stage: Stage = lambda stage: None,
    threads: int | None = None,
) -> RunFolder:
    """Go on with a run from its last checkpoint that is whole.

    Weights, optimizer, penalty coefficient, step count and random generators go on; logs are continued. Episodes that
    were under way are lost, so the result is reproducible, yet not equal to that of a run that was never stopped.

    Args:
        path: The run folder.
        steps: A new total number of steps; None leaves it.
        callbacks: As for :func:`train`.
        on_stage: As for :func:`train`.
        threads: CPU threads; None leaves the run's setting.

    Raises:
        CheckpointError: There is no such run, or no usable checkpoint.
    """
    folder = RunFolder(path)
    config = folder.open()
    changes: dict[str, Any] = {"steps": steps, "threads": threads}
    changes = {key: value for key, value in changes.items() if value is not None}
    config = dataclasses.replace(config, **changes)
    on_stage("loading the checkpoint")
    folder.clean()
    model, state = load_newest(folder.checkpoints, lambda checkpoint: load_model(config, checkpoint))
    if steps is not None:
        write_json(folder.config, {**config.to_dict(), "versions": library_versions()})
    kl = ReferenceKLCallback(config.kl_coef, config.kl_target)
    return _run(config, folder, model, state, [TokenRewardsCallback(), kl, *callbacks], on_stage)


def build_model(config: TrainConfig) -> Any:
    """Make environments and algorithm; everything that can be wrong with a configuration shows here.

    Raises:
        ConfigurationError: The algorithm or the device refuses a value.
        LMEnvsError: Environment or model cannot be made.
    """
    algorithm, policy = split_hyperparameters(config.algorithm, config.hyperparameters)
    schedules = with_schedules(algorithm)
    policy |= {"model": config.model, "trainable": config.trainable, "dtype": config.dtype}
    _prepare_torch(config)
    venv = _environments(config, config.seed)
    try:
        return algorithm_class(config.algorithm)(
            LMActorCriticPolicy,
            venv,
            rollout_buffer_class=SequenceRolloutBuffer,
            policy_kwargs=policy,
            seed=config.seed,
            device=config.device,
            **schedules,
        )
    except LMEnvsError:
        raise
    except (TypeError, ValueError, AssertionError) as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(f"{config.algorithm} refuses its hyperparameters {algorithm}: {reason}") from error


def load_model(config: TrainConfig, checkpoint: Path) -> Any:
    """Load a checkpoint with new environments."""
    _prepare_torch(config)
    venv = _environments(config, config.seed)
    return algorithm_class(config.algorithm).load(checkpoint, env=venv, device=config.device)


def _environments(config: TrainConfig, seed: int) -> Any:
    return make_lm_vec_env(config.env_id, config.n_envs, seed=seed, env_kwargs=config.environment_kwargs())


def _prepare_torch(config: TrainConfig) -> None:
    if config.threads is not None:
        th.set_num_threads(config.threads)
    if config.device == "auto":
        return
    try:
        th.zeros(1, device=config.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"no such device: {config.device!r} ({reason}). Use 'auto', 'cpu' or 'cuda'."
        ) from error


def _run(
    config: TrainConfig,
    folder: RunFolder,
    model: Any,
    state: dict[str, Any] | None,
    callbacks: Sequence[BaseCallback],
    on_stage: Stage,
) -> RunFolder:
    """Evaluate, learn, evaluate again, and write everything."""
    if "before" not in folder.read_evaluation():
        on_stage("evaluating the untrained model")
        untrained = reference_policy(model.policy)
        _record_evaluation(config, folder, "before", untrained, untrained, step=0)
    model.set_logger(_logger(folder, 0 if state is None else model.num_timesteps))
    ours = _callbacks(config, folder, model, state, next(c for c in callbacks if isinstance(c, ReferenceKLCallback)))
    if state is not None:
        model.env.seed(config.seed + model.num_timesteps)  # other prompts than at the start
        restore_random_states(state["random"])
    remaining = config.steps - model.num_timesteps
    if remaining > 0:
        on_stage("training")
        steps_per_row = min(STEPS_PER_LOG_ROW, config.steps // LOG_ROWS)
        every = max(1, steps_per_row // (model.n_steps * model.n_envs))
        model.learn(remaining, callback=[*ours, *callbacks], log_interval=every, reset_num_timesteps=state is None)
    model.logger.close()
    _finish(config, folder, model, on_stage)
    return folder


def _callbacks(
    config: TrainConfig, folder: RunFolder, model: Any, state: dict[str, Any] | None, kl: ReferenceKLCallback
) -> Sequence[BaseCallback]:
    env = (config.env_id, config.environment_kwargs())
    interval = max(1, config.steps // SAMPLES_IN_A_RUN)
    log = JsonLinesLog(folder.samples, 0 if state is None else model.num_timesteps)
    samples = SampleCallback(log, *env, every=interval, seed=EVALUATION_SEED)
    early = None
    if config.early_stopping is not None:
        best = folder.checkpoints / "best.zip"
        early = EarlyStopping(config.early_stopping, best, *env, every=interval, seed=EVALUATION_SEED)
    checkpoint = CheckpointCallback(folder.checkpoints, config.checkpoint_every, kl, early)
    if state is not None:
        checkpoint.restore(state)
        samples.go_on(model.num_timesteps)
    return callback_list(early, checkpoint, samples)


def _logger(folder: RunFolder, after_step: int) -> Logger:
    formats: list[KVWriter] = [CsvLog(folder.progress, after_step)]
    if importlib.util.find_spec("tensorboard") is not None:
        formats.append(TensorBoardOutputFormat(str(folder.tensorboard)))
    else:
        logger.warning("No TensorBoard events are written. Install tensorboard with: pip install 'lm-envs[plots]'")
    return Logger(str(folder.path), formats)


def _finish(config: TrainConfig, folder: RunFolder, model: Any, on_stage: Stage) -> None:
    best = folder.checkpoints / "best.zip"
    if config.early_stopping is not None and best.exists():
        model.set_parameters(str(best), device=model.device)
    on_stage("saving the model")
    save_model(model, folder.model)
    export_hf(model, folder.hf)
    on_stage("evaluating the trained model")
    _record_evaluation(config, folder, "after", model.policy, reference_policy(model.policy), model.num_timesteps)
    title = f"{config.env_id} {config.label}: {config.algorithm}, {config.model}, seed {config.seed}"
    try:
        draw_curve(folder.progress, folder.curve, title, folder.read_evaluation(), config.kl_target)
    except MissingDependencyError as error:
        logger.warning("%s", error)


def _record_evaluation(
    config: TrainConfig,
    folder: RunFolder,
    moment: str,
    policy: LMActorCriticPolicy,
    reference: LMActorCriticPolicy,
    step: int,
) -> None:
    result = evaluate(
        policy,
        config.env_id,
        config.environment_kwargs(),
        n_prompts=config.eval_prompts,
        seed=EVALUATION_SEED,
        reference=reference,
    )
    entry = {"step": step, **result.to_dict(examples=N_EXAMPLES)}
    folder.write_evaluation({**folder.read_evaluation(), moment: entry})
