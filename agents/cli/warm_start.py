"""``lm-envs warm-start``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.environment_options import EnvironmentOptions, takes_options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Device, Json, Seed
from lm_envs.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from agents.feedback.examples import Demonstration


@takes_options
def warm_start(
    options: EnvironmentOptions,
    env_id: Annotated[str, typer.Argument(help="Environment id.")] = "TextGen-v0",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where the model goes; a new folder.", show_default=False
        ),
    ] = None,
    demonstrations: Annotated[
        list[Path] | None,
        typer.Option(
            "--demonstrations",
            metavar="FILE",
            help="Prompts with completions, or a feedback file with edits; several.",
            show_default="the data's references",
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Alias, hub id or folder.")] = "tiny",
    epochs: Annotated[int, typer.Option(min=1, help="At most so many passes over the demonstrations.")] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Demonstrations in a batch.")] = 32,
    learning_rate: Annotated[float | None, typer.Option(help="At the start.", show_default="by the model")] = None,
    validation: Annotated[float, typer.Option(help="Share of the prompts that is held out.")] = 0.1,
    trainable: Annotated[str, typer.Option(help="all, top:N, lora or heads.")] = "all",
    prompts: Annotated[int, typer.Option("--prompts", "-n", min=1, help="Test prompts before and after.")] = 256,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Teach a model to write as demonstrations do, before reinforcement learning or to be compared with it.

    The folder is a model like any other: 'lm-envs train --model FOLDER' starts from it and keeps close to it.

    Example: lm-envs warm-start --task summarization -o models/imitator
    Example: lm-envs warm-start --task reviews --demonstrations edits.jsonl -o models/editor
    """
    with errors_as_messages(debug):
        if output is None:
            raise ConfigurationError("say where the model goes: --output FOLDER.")
        kwargs = {**_arguments(env_id, options), "model": model}
        shown = _demonstrations(demonstrations or [], env_id, kwargs)
        if not as_json:
            console().print(f"{len(shown):,} demonstrations, model {model}", markup=False)
        from agents.baselines.warm_model import make_warm_model

        with _Steps(quiet=as_json) as steps:
            report = make_warm_model(
                output,
                shown,
                kwargs,
                trainable=trainable,
                device=device,
                eval_prompts=prompts,
                seed=seed,
                on_stage=steps.stage,
                on_step=steps.step,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                validation=validation,
            )
        if as_json:
            typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        else:
            _show(report, output, kwargs.get("task"))


def _arguments(env_id: str, options: EnvironmentOptions) -> dict[str, Any]:
    """Arguments of the environment, with their names checked."""
    from agents.recipes.train_config import DEFAULT_TASKS, check_env_kwargs, check_names

    if env_id != "TextGen-v0":
        raise ConfigurationError(f"demonstrations are texts for prompts, for TextGen-v0; got {env_id!r}.")
    kwargs = options.arguments()
    check_names(env_id, kwargs.get("task"), kwargs.get("dataset"))
    own = ("task", "dataset", "reward")
    check_env_kwargs({name: value for name, value in kwargs.items() if name not in own}, env_id)
    return kwargs if "task" in kwargs or "dataset" in kwargs else {"task": DEFAULT_TASKS[env_id], **kwargs}


def _demonstrations(files: list[Path], env_id: str, env_kwargs: dict[str, Any]) -> list[Demonstration]:
    """Those of the files, else the references of the data."""
    from agents.baselines.shown_texts import references_of
    from agents.feedback.files import read_feedback

    if not files:
        return references_of(env_id, env_kwargs)
    found = read_feedback(files, on_identical="drop")
    if not found.demonstrations:
        names = ", ".join(map(str, files))
        raise DataError(
            f"{names}: {len(found.preferences)} comparisons and {len(found.ratings)} ratings, but no text to imitate. "
            "Demonstrations are rows with prompt and completion, or edits of labelled items."
        )
    return found.demonstrations


class _Steps:
    """Shows what is done, and how far the learning is, on a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._status = None if quiet else console().status("")

    def __enter__(self) -> _Steps:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def stage(self, name: str) -> None:
        if self._status is not None:
            self._status.update(name)

    def step(self, done: int, total: int, loss: float) -> None:
        self.stage(f"learning from demonstrations: step {done:,} of {total:,}, loss {loss:.3f}")


def _show(report: dict[str, Any], folder: Path, task: str | None) -> None:
    from agents.cli.display import evaluation_title, print_evaluation

    learning = report["learning"]
    cut = f", {learning['n_cut']:,} cut to the room of an episode" if learning["n_cut"] else ""
    console().print(f"learned from {learning['n_learned']:,} demonstrations{cut}; {learning['n_held_out']:,} held out")
    if learning["before"] is not None:
        console().print(
            f"held-out loss: {learning['before']:.3f} nats a token before, {learning['after']:.3f} after "
            f"(epoch {learning['kept']} of {len(learning['epochs'])} kept)"
        )
    columns = {moment: report[moment] for moment in ("before", "after")}
    print_evaluation(console(), evaluation_title(columns["after"], False), columns)
    console().print(f"model folder: {folder}", markup=False, soft_wrap=True)
    go_on = f"lm-envs train --model {folder}{f' --task {task}' if task else ''}"
    console().print(f"go on:        {go_on}", markup=False, soft_wrap=True)
