"""``lm-envs train-reward-model``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Device, Json, Seed

if TYPE_CHECKING:
    from agents.reward_models.fitting import Check
    from agents.reward_models.report import RewardModelReport


def train_reward_model(
    feedback: Annotated[
        list[Path],
        typer.Argument(metavar="FEEDBACK...", help="Stores of answers, or files with comparisons or ratings."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save the reward model in.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model to begin with: tiny, minilm, hub id, folder.")
    ] = "tiny",
    features: Annotated[
        str, typer.Option(help="all: train the whole model; linear: a linear layer on its frozen features.")
    ] = "all",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How often the feedback is seen at most.", show_default="3; linear: 60")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Peak of the learning rate.", show_default="2e-3; from 10M weights 5e-5; linear 1e-2"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Comparisons in an update.")] = 32,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without improvement before it stops.")] = 1,
    validation: Annotated[float, typer.Option(help="Share of the prompts that is held out; 0: none.")] = 0.1,
    ensemble: Annotated[int, typer.Option("--ensemble", min=1, help="Number of models.", metavar="N")] = 1,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model that scores texts as people prefer them, from comparisons and ratings.

    Example: lm-envs train-reward-model feedback.sqlite -o reward-models/first
    """
    with errors_as_messages(debug, "stopped; nothing was saved, and an earlier model in the folder is as it was."):
        from agents.reward_models.ensemble import train_reward_ensemble
        from agents.reward_models.training import train_reward_model as train_one

        show = not (quiet or as_json)
        settings = {"body": model, "features": features, "epochs": epochs, "lr": lr, "batch_size": batch_size}
        settings |= {"patience": patience, "validation": validation, "seed": seed, "device": device}
        if ensemble > 1:
            reports = train_reward_ensemble(
                feedback, output, ensemble, on_check=(lambda n, check: _say(check, n)) if show else None, **settings
            )
        else:
            reports = [train_one(feedback, output, on_check=_say if show else None, **settings)]  # type: ignore[arg-type]
        if as_json:
            found = [report.to_dict() for report in reports]
            typer.echo(json.dumps(found if ensemble > 1 else found[0], indent=2, ensure_ascii=False))
        elif show:
            _summarize(reports, output)


def _say(check: Check, member: int | None = None) -> None:
    """A line about the losses."""
    who = "" if member is None else f"member {member}  "
    held_out = "" if check.validation is None else f"  validation {check.validation:.3f}"
    console().print(f"{who}epoch {check.epoch:5.2f}  loss {check.training:.3f}{held_out}")


def _summarize(reports: list[RewardModelReport], output: Path) -> None:
    for report in reports:
        counts, measures = report.training, report.measures
        line = f"{counts.comparisons} comparisons, {counts.ties} ties, {counts.ratings} ratings"
        if measures is not None and measures.accuracy is not None and measures.calibration is not None:
            accuracy = measures.accuracy
            interval = "" if accuracy.low is None else f" ({accuracy.low:.3f} to {accuracy.high:.3f})"
            line += f"; held out: accuracy {accuracy.mean:.3f}{interval}"
            line += f", calibration error {measures.calibration.error:.3f}"
        if measures is not None and measures.rating_error is not None:
            line += f"; held-out ratings: mean distance {measures.rating_error.mean:.3f}"
        console().print(line, soft_wrap=True)
    console().print(f"saved in {output}; pay it with --reward model:{output}", soft_wrap=True)
