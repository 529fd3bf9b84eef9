"""``lm-envs train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    from agents.recipes import TrainConfig
    from agents.training_runs.folder import RunFolder


def train(
    env_id: Annotated[str | None, typer.Argument(help="Environment id.", show_default="TextGen-v0")] = None,
    task: Task = None,
    dataset: Dataset = None,
    reward: Reward = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Alias, hub id or folder.  [default: tiny]")
    ] = None,
    algo: Annotated[str | None, typer.Option("--algo", "-a", help="Algorithm.  [default: ppo]")] = None,
    steps: Annotated[int | None, typer.Option("--steps", "-n", help="Environment steps (tokens).")] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Seed of everything random.  [default: 0]")] = None,
    n_envs: Annotated[int | None, typer.Option("--n-envs", help="Environments side by side.")] = None,
    run: Annotated[Path | None, typer.Option("--run", help="Run folder.  [default: runs/ENV-TASK-ALGO-...]")] = None,
    resume: Annotated[Path | None, typer.Option("--resume", help="Go on with this run folder.")] = None,
    env_kwarg: EnvKwarg = None,
    hyperparameter: Annotated[
        list[str] | None,
        typer.Option(
            "--hyperparameter",
            "-H",
            metavar="KEY=VALUE",
            help="Argument of the algorithm or of the policy. Example: -H learning_rate=1e-4.",
            show_default=False,
        ),
    ] = None,
    kl_coef: Annotated[float | None, typer.Option(help="Penalty per nat from the pretrained model.")] = None,
    kl_target: Annotated[float | None, typer.Option(help="Nats an episode to steer to; 0: fixed coefficient.")] = None,
    trainable: Annotated[str | None, typer.Option(help="all, top:N or heads.  [default: all]")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16.  [default: float32]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.  [default: auto]")] = None,
    eval_prompts: Annotated[int | None, typer.Option(help="Held-out prompts before and after.")] = None,
    early_stopping: Annotated[
        int | None, typer.Option(help="Stop after N validations without improvement.", metavar="N")
    ] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    debug: Debug = False,
) -> None:
    """Train a language model in an environment, and leave a run folder with everything about it.

    Example: lm-envs train TextGen-v0 --task reviews --model tiny --seed 0
    """
    settings = {
        "model": model,
        "algorithm": algo,
        "seed": seed,
        "n_envs": n_envs,
        "kl_coef": kl_coef,
        "kl_target": kl_target,
        "trainable": trainable,
        "dtype": dtype,
        "device": device,
        "eval_prompts": eval_prompts,
        "early_stopping": early_stopping,
        "checkpoint_every": checkpoint_every,
    }
    with errors_as_messages(debug):
        fixed = {"env_id": env_id, "task": task, "dataset": dataset, "reward": reward, "run": run, **settings}
        fixed |= {"env_kwarg": env_kwarg, "hyperparameter": hyperparameter}
        if resume is not None:
            _check_resume(fixed)
            folder = _resume(resume, steps, threads, quiet, debug)
        else:
            config = _config(
                env_id,
                task,
                dataset,
                reward,
                env_kwarg,
                hyperparameter,
                {**settings, "steps": steps, "threads": threads},
            )
            folder = _train(config, run, quiet, debug)
        if not quiet:
            _report(folder)


def _config(
    env_id: str | None,
    task: str | None,
    dataset: str | None,
    reward: list[str] | None,
    env_kwarg: list[str] | None,
    hyperparameter: list[str] | None,
    settings: dict[str, Any],
) -> TrainConfig:
    from agents.recipes import check_names, make_config

    env_id = env_id or "TextGen-v0"
    check_names(env_id, task, dataset)  # before anything slow is imported
    settings["algorithm"] = settings["algorithm"] or "ppo"
    return make_config(
        env_id,
        task=task,
        dataset=dataset,
        reward=reward_specification(reward),
        env_kwargs=environment_arguments(env_kwarg),
        hyperparameters=key_values(hyperparameter, "--hyperparameter"),
        **settings,
    )


def _check_resume(fixed: dict[str, Any]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in fixed.items() if value is not None and value != []]
    if given:
        raise ConfigurationError(
            f"--resume goes on with the settings of the run; {', '.join(given)} cannot change. "
            "Only --steps, --threads and --quiet can go with it."
        )


def _train(config: TrainConfig, run: Path | None, quiet: bool, debug: bool) -> RunFolder:
    from agents.training_runs.folder import RunFolder, default_folder

    path = run or default_folder(config)
    RunFolder(path).check_new()
    if not quiet:
        console().print(
            f"[bold]{config.algorithm.upper()}[/] on [bold]{config.env_id}[/] {config.label}, model {config.model}, "
            f"{config.steps:,} steps, seed {config.seed}\nrun folder: {path}"
        )
    with _live(config.steps, quiet) as live, errors_as_messages(debug, _hint(path)):
        from agents.training_runs import training

        return training.train(config, path, callbacks=live.callbacks(), on_stage=live.stage)


def _resume(path: Path, steps: int | None, threads: int | None, quiet: bool, debug: bool) -> RunFolder:
    from agents.training_runs.folder import RunFolder

    total = steps or RunFolder(path).open().steps
    with _live(total, quiet) as live, errors_as_messages(debug, _hint(path)):
        from agents.training_runs import training

        return training.resume(path, steps, callbacks=live.callbacks(), on_stage=live.stage, threads=threads)


def _hint(path: Path) -> str:
    return f"go on with: lm-envs train --resume {path}"


def _live(total: int, quiet: bool) -> Any:
    from agents.cli.progress import LiveTraining

    return LiveTraining(None if quiet else console(), total)


def _report(folder: RunFolder) -> None:
    """Before and after: completions, then numbers."""
    from agents.cli.display import before_after_table, evaluation_table

    results = folder.read_evaluation()
    before, after = results["before"], results["after"]
    out = console()
    out.print(before_after_table(out, before["examples"], after["examples"]))
    title = f"{after['n_prompts']} prompts of the split {after['split']!r}, 95% intervals"
    out.print(title, style="bold", soft_wrap=True)
    out.print(evaluation_table(out, {"before": before, "after": after}))
    out.print(f"run folder: {folder.path}", soft_wrap=True)
    out.print(f"try it:     lm-envs sample {folder.path}", soft_wrap=True)
