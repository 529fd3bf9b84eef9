"""``lm-envs train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from agents.cli import train_options as options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import (
    Dataset,
    Debug,
    EnvKwarg,
    Reward,
    Task,
    environment_arguments,
    key_values,
    reward_specification,
)
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.recipes.train_config import TrainConfig
    from agents.training_runs.folder import RunFolder


def train(
    env_id: options.EnvId = None,
    task: Task = None,
    dataset: Dataset = None,
    reward: Reward = None,
    model: options.Model = None,
    algo: options.Algorithm = None,
    observation: options.Observation = None,
    candidates: options.Candidates = None,
    conf_file: options.ConfFile = None,
    steps: options.Steps = None,
    seed: options.RunSeed = None,
    n_envs: options.NEnvs = None,
    run: options.Run = None,
    resume: options.Resume = None,
    env_kwarg: EnvKwarg = None,
    hyperparameter: options.Hyperparameter = None,
    kl_coef: options.KLCoef = None,
    kl_target: options.KLTarget = None,
    kl_reference: options.KLReference = None,
    kl_stop: options.KLStop = None,
    mask_every: options.MaskEvery = None,
    trainable: options.Trainable = None,
    dtype: options.DType = None,
    device: options.RunDevice = None,
    eval_prompts: options.EvalPrompts = None,
    eval_every: options.EvalEvery = None,
    early_stopping: options.EarlyStopping = None,
    checkpoint_every: options.CheckpointEvery = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a language model in an environment, and leave a run folder with everything about it.

    Numbers that are not given come from the recipe of the algorithm and the task; config.json has them all.

    Example: lm-envs train TextGen-v0 --task reviews --model tiny --seed 0
    Example: lm-envs train --algo dqn --observation hidden
    Example: lm-envs train Dialogue-v0
    """
    given = dict(locals())  # every option by its name
    with errors_as_messages(debug):
        folder = _train(given) if resume is None else _resume(given)
        if not quiet:
            _report(folder)


def _config(given: dict[str, Any]) -> TrainConfig:
    """The settings of a new run; mistakes in names show before anything slow is imported."""
    from agents.recipes.train_config import make_config

    same_name = (
        "task dataset model observation candidates conf_file steps seed n_envs kl_coef kl_target kl_reference kl_stop "
        "mask_every trainable dtype device eval_prompts eval_every early_stopping checkpoint_every threads"
    )
    return make_config(
        given["env_id"] or "TextGen-v0",
        algorithm=given["algo"] or "ppo",
        reward=reward_specification(given["reward"]),
        env_kwargs=environment_arguments(given["env_kwarg"]),
        hyperparameters=key_values(given["hyperparameter"], "--hyperparameter", "learning_rate=1e-4"),
        **{name: given[name] for name in same_name.split()},
    )


def _check_resume(given: dict[str, Any]) -> None:
    allowed = ("resume", "steps", "threads", "quiet", "debug")
    fixed = [name for name, value in given.items() if name not in allowed and value is not None and value != []]
    if fixed:
        options_given = ", ".join(f"--{name.replace('_', '-')}" for name in fixed)
        raise ConfigurationError(
            f"--resume goes on with the settings of the run; {options_given} cannot change. "
            "Only --steps, --threads and --quiet can go with it."
        )


def _train(given: dict[str, Any]) -> RunFolder:
    from agents.recipes.env_wrappers import describe
    from agents.training_runs.folder import RunFolder, default_folder

    config = _config(given)
    path = given["run"] or default_folder(config)
    RunFolder(path).check_new()
    if not given["quiet"]:
        console().print(
            f"[bold]{config.algorithm.upper()}[/] on [bold]{config.env_id}[/] {escape(config.label)}, "
            f"model {escape(config.model)}, {config.steps:,} steps, seed {config.seed}"
        )
        console().print(f"policy:     {config.policy.rpartition('.')[2]}", markup=False, soft_wrap=True)
        if config.env_wrapper:
            console().print(f"wrappers:   {describe(config.env_wrapper)}", markup=False, soft_wrap=True)
        console().print(f"run folder: {path}", markup=False, soft_wrap=True)
    with _live(config.steps, given["quiet"]) as live, errors_as_messages(given["debug"], _hint(path)):
        from agents.training_runs import training

        return training.train(config, path, callbacks=live.callbacks(), on_stage=live.stage)


def _resume(given: dict[str, Any]) -> RunFolder:
    from agents.training_runs.folder import RunFolder

    _check_resume(given)
    path, steps = given["resume"], given["steps"]
    total = steps or RunFolder(path).open().steps
    with _live(total, given["quiet"]) as live, errors_as_messages(given["debug"], _hint(path)):
        from agents.training_runs import training

        callbacks = live.callbacks()
        return training.resume(path, steps, callbacks, on_stage=live.stage, threads=given["threads"])


def _hint(path: Path) -> str:
    return f"go on with: lm-envs train --resume {path}"


def _live(total: int, quiet: bool) -> Any:
    from agents.cli.progress import LiveTraining

    return LiveTraining(None if quiet else console(), total)


def _report(folder: RunFolder) -> None:
    """Before and after: completions, then numbers."""
    from agents.cli.display import before_after_table, evaluation_title, print_evaluation

    results = folder.read_evaluation()
    before, after = results["before"], results["after"]
    out = console()
    out.print(before_after_table(out, before["examples"], after["examples"]))
    title = evaluation_title(after, after.get("deterministic", False))
    print_evaluation(out, title, {"before": before, "after": after})
    out.print(f"run folder: {folder.path}", markup=False, soft_wrap=True)
    out.print(f"try it:     lm-envs {_trial(folder)} {folder.path}", markup=False, soft_wrap=True)


def _trial(folder: RunFolder) -> str:
    """The command that shows what the agent has learned."""
    config = folder.open()
    talks = config.env_id == "Dialogue-v0" and config.env_kwargs.get("actions") != "acts"
    return "play --agent" if talks else "sample"
