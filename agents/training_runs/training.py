"""A training run from its settings to its folder: stock ``learn``, with callbacks around it."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stable_baselines3.common.callbacks import BaseCallback, LogEveryNTimesteps
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from agents.atomic_files import write_json
from agents.callbacks.kl_stop import StopOnKL
from agents.callbacks.nlpo_mask import NLPOMaskCallback
from agents.callbacks.reference_kl import ReferenceKLCallback
from agents.callbacks.rollout_log import RolloutLogCallback
from agents.callbacks.token_rewards import TokenRewardsCallback
from agents.evaluation import evaluate
from agents.evaluation.pretrained_policy import untrained, untrained_kwargs
from agents.export import export_hf
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.policies.nlpo_policy import LMNLPOPolicy
from agents.policies.value_policies import is_value_policy
from agents.recipes.env_wrappers import WrapperStack
from agents.recipes.train_config import TrainConfig
from agents.training_runs.building import build_model, load_model
from agents.training_runs.callbacks import (
    CheckpointCallback,
    EarlyStopping,
    SampleCallback,
    ValidationCallback,
    callback_list,
)
from agents.training_runs.checkpoints import load_newest, restore_random_states, save_model
from agents.training_runs.curve import draw_curve
from agents.training_runs.folder import RunFolder, library_versions
from agents.training_runs.logs import CsvLog, JsonLinesLog
from lm_envs.errors import ConfigurationError, MissingDependencyError

logger = logging.getLogger(__name__)

EVALUATION_SEED = 0
"""Runs with other seeds are measured on the same prompts with the same sampling."""

N_EXAMPLES = 8
SAMPLES_IN_A_RUN = 10
STEPS_PER_LOG_ROW = 2_048  # at most; and a run has about LOG_ROWS at least, if it has as many rollouts
LOG_ROWS = 50

Stage = Callable[[str], None]
Found = TypeVar("Found", bound=BaseCallback)


def train(
    config: TrainConfig,
    path: str | Path,
    callbacks: Sequence[BaseCallback] = (),
    on_stage: Stage = lambda stage: None,
) -> RunFolder:
    """Run a whole training and leave its folder.

    Args:
        config: The settings, from :func:`agents.recipes.train_config.make_config`.
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
    model = build_model(config)
    of_algorithm = _callbacks_of_algorithm(config, model.policy)
    folder.create(config)
    return _run(config, folder, model, None, of_algorithm, callbacks, on_stage)


def resume(
    path: str | Path,
    steps: int | None = None,
    callbacks: Sequence[BaseCallback] = (),
    on_stage: Stage = lambda stage: None,
    threads: int | None = None,
) -> RunFolder:
    """Go on with a run from its last checkpoint that is whole.

    Weights, optimizer, replay buffer, penalty coefficient, step count and random generators go on; logs are continued.
    Episodes that were under way are lost, so the result is reproducible, yet not equal to that of a run that was never
    stopped.

    Args:
        path: The run folder.
        steps: A new total number of steps; None leaves it.
        callbacks: As for :func:`train`.
        on_stage: As for :func:`train`.
        threads: CPU threads; None leaves the run's setting.

    Raises:
        CheckpointError: There is no such run, or no usable checkpoint.
        ConfigurationError: So many steps are done already.
    """
    folder = RunFolder(path)
    config = folder.open()
    steps = None if steps == config.steps else steps  # the same command again, after a kill in the last evaluation
    changes: dict[str, Any] = {"steps": steps, "threads": threads}
    changes = {key: value for key, value in changes.items() if value is not None}
    config = dataclasses.replace(config, **changes)
    on_stage("loading the checkpoint")
    folder.clean()
    model, state = load_newest(folder.checkpoints, lambda checkpoint: load_model(config, checkpoint))
    if steps is not None:
        if steps <= model.num_timesteps:
            raise ConfigurationError(
                f"{str(folder.path)!r} has done {model.num_timesteps:,} steps already, and steps is the new total, "
                f"with these; got {steps:,}. Pass more, or leave it out."
            )
        write_json(folder.config, {**config.to_dict(), "versions": library_versions()})
    return _run(config, folder, model, state, _callbacks_of_algorithm(config, model.policy), callbacks, on_stage)


def _callbacks_of_algorithm(config: TrainConfig, policy: Any) -> list[BaseCallback]:
    """What the algorithm needs: the masks of NLPO, credit for single tokens, the penalty on divergence, its limit."""
    masks = _mask_callbacks(config, policy)
    if not config.on_policy:
        return []
    has_divergence = isinstance(policy, LMActorCriticPolicy) and policy.actions_are != "choices"
    if config.kl_stop is not None and not has_divergence:
        raise ConfigurationError(
            f"kl_stop={config.kl_stop} limits the divergence from a pretrained model that writes; here the policy is "
            f"{config.policy} and nothing is written. Leave it out."
        )
    if not isinstance(policy, LMActorCriticPolicy):
        if config.kl_coef > 0:
            raise ConfigurationError(
                f"kl_coef={config.kl_coef} needs a policy that is a language model; {config.policy} is none. Set it "
                "to 0."
            )
        return []
    if policy.actions_are == "choices":
        if config.kl_coef > 0:
            logger.warning("Actions are choices, of which the pretrained model knows nothing: kl_coef has no effect.")
        return [TokenRewardsCallback()]
    limit = [] if config.kl_stop is None else [StopOnKL(config.kl_stop)]
    return [*masks, TokenRewardsCallback(), _penalty(config), *limit]


def _mask_callbacks(config: TrainConfig, policy: Any) -> list[BaseCallback]:
    """What renews the masking policy, where there is one."""
    if isinstance(policy, LMNLPOPolicy):
        return [NLPOMaskCallback() if config.mask_every is None else NLPOMaskCallback(config.mask_every)]
    if config.mask_every is not None:
        raise ConfigurationError(
            f"mask_every={config.mask_every} needs a policy that masks tokens, as --algo nlpo has; {config.policy} "
            "masks none. Leave it out."
        )
    return []


def _penalty(config: TrainConfig) -> ReferenceKLCallback:
    return ReferenceKLCallback(config.kl_coef, config.kl_target, model=config.kl_reference)


def _run(
    config: TrainConfig,
    folder: RunFolder,
    model: Any,
    state: dict[str, Any] | None,
    of_algorithm: Sequence[BaseCallback],
    callbacks: Sequence[BaseCallback],
    on_stage: Stage,
) -> RunFolder:
    """Evaluate, learn, evaluate again, and write everything."""
    if "before" not in folder.read_evaluation():
        on_stage("evaluating the untrained model")
        _evaluate_untrained(config, folder, model)
    model.set_logger(_logger(folder, 0 if state is None else model.num_timesteps))
    ours = _callbacks(config, folder, model, state, of_algorithm)
    if state is not None:
        model.env.seed(config.seed + model.num_timesteps)  # other prompts than at the start
        restore_random_states(state["random"])
    remaining = config.steps - model.num_timesteps
    stop = _find(StopOnKL, of_algorithm)
    if stop is not None and stop.stopped:
        on_stage(stop.reason)
    elif remaining > 0:
        on_stage("training")
        _learn(config, model, remaining, [*of_algorithm, *ours, *callbacks], goes_on=state is not None)
    else:
        on_stage(f"nothing left to train: {model.num_timesteps:,} of {config.steps:,} steps are done")
    model.logger.close()
    _finish(config, folder, model, on_stage)
    return folder


def _learn(config: TrainConfig, model: Any, steps: int, callbacks: list[BaseCallback], goes_on: bool) -> None:
    """Stock ``learn``, with rows of the log at the same distances whatever the algorithm."""
    steps_per_row = max(1, min(STEPS_PER_LOG_ROW, config.steps // LOG_ROWS))
    interval = None
    if config.on_policy:
        interval = max(1, steps_per_row // (model.n_steps * model.n_envs))
    else:  # which count their log interval in episodes
        callbacks = [*callbacks, LogEveryNTimesteps(steps_per_row)]
    model.learn(steps, callback=callbacks, log_interval=interval, reset_num_timesteps=not goes_on)


def _callbacks(
    config: TrainConfig,
    folder: RunFolder,
    model: Any,
    state: dict[str, Any] | None,
    of_algorithm: Sequence[BaseCallback],
) -> Sequence[BaseCallback]:
    """What happens beside the learning."""
    interval = max(1, config.steps // SAMPLES_IN_A_RUN)
    log = JsonLinesLog(folder.samples, 0 if state is None else model.num_timesteps)
    samples = SampleCallback(log, config, every=interval, seed=EVALUATION_SEED)
    validation = early = None
    if config.eval_every is not None:
        validation = ValidationCallback(config, config.eval_every, seed=EVALUATION_SEED)
    if config.early_stopping is not None:
        best = folder.checkpoints / "best.zip"
        early = EarlyStopping(config.early_stopping, best, config, every=interval, seed=EVALUATION_SEED)
    rollouts = RolloutLogCallback(texts_every=interval) if config.on_policy else None
    kl, stop = _find(ReferenceKLCallback, of_algorithm), _find(StopOnKL, of_algorithm)
    checkpoint = CheckpointCallback(folder.checkpoints, config.checkpoint_every, kl, early, stop)
    if state is not None:
        checkpoint.restore(state)
        samples.go_on(model.num_timesteps)
    return callback_list(early, checkpoint, samples, validation, rollouts)


def _find(kind: type[Found], callbacks: Sequence[BaseCallback]) -> Found | None:
    """The first callback of a kind."""
    return next((callback for callback in callbacks if isinstance(callback, kind)), None)


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
    if isinstance(model.policy, LMActorCriticPolicy) and model.policy.actions_are != "choices":
        export_hf(model, folder.hf)
    on_stage("evaluating the trained model")
    greedy = is_value_policy(model.policy)
    kwargs = config.evaluation_kwargs()
    _record_evaluation(config, folder, "after", model.policy, kwargs, config.wrapper(), greedy, model.num_timesteps)
    title = f"{config.env_id} {config.label}: {config.algorithm}, {config.model}, seed {config.seed}"
    try:
        draw_curve(folder.progress, folder.curve, title, folder.read_evaluation(), config.kl_target)
    except MissingDependencyError as error:
        logger.warning("%s", error)


def _evaluate_untrained(config: TrainConfig, folder: RunFolder, model: Any) -> None:
    """Measure the pretrained language model, writing as the trained policy will: sampling, or greedily."""
    kwargs = config.evaluation_kwargs()
    policy, wrapper = untrained(model.policy, config.env_id, kwargs, config.wrapper(), device=config.device)
    kwargs, greedy = untrained_kwargs(model.policy, kwargs), is_value_policy(model.policy)
    _record_evaluation(config, folder, "before", policy, kwargs, wrapper, greedy, step=0)


def _record_evaluation(
    config: TrainConfig,
    folder: RunFolder,
    moment: str,
    policy: Any,
    env_kwargs: dict[str, Any],
    wrapper: WrapperStack | None,
    greedy: bool,
    step: int,
) -> None:
    result = evaluate(
        policy,
        config.env_id,
        env_kwargs,
        wrapper_class=wrapper,
        n_prompts=config.eval_prompts,
        seed=EVALUATION_SEED,
        deterministic=greedy,
    )
    entry = {"step": step, "deterministic": greedy, **result.to_dict(examples=N_EXAMPLES)}
    if greedy:
        entry["metrics"].pop("kl", None)  # a greedy policy has no finite divergence
    folder.write_evaluation({**folder.read_evaluation(), moment: entry})
