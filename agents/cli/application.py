"""The typer application; each command lives in its own module."""

from __future__ import annotations

from typing import Annotated

import typer

from agents.cli.chat import chat
from agents.cli.collect import collect
from agents.cli.evaluate import evaluate
from agents.cli.export import export
from agents.cli.feedback import feedback_app
from agents.cli.label import label
from agents.cli.listing import list_names
from agents.cli.play import play
from agents.cli.sample import sample
from agents.cli.serve_reward import serve_reward
from agents.cli.train import train
from agents.cli.train_reward_model import train_reward_model
from agents.cli.warm_start import warm_start
from lm_envs import __version__

app = typer.Typer(
    name="lm-envs",
    help="Reinforcement learning of language models: token-level Gymnasium environments, stock Stable-Baselines3.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lm-envs {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself; what it does is up to the commands."""


app.command("train")(train)
app.command("warm-start")(warm_start)
app.command("evaluate")(evaluate)
app.command("sample")(sample)
app.command("play")(play)
app.command("train-reward-model")(train_reward_model)
app.command("serve-reward")(serve_reward)
app.command("export")(export)
app.command("chat")(chat)
app.command("list")(list_names)
app.command("label")(label)
app.command("collect")(collect)
app.add_typer(feedback_app, name="feedback")
