"""``lm-envs list``."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
from typing import Annotated

import typer
from rich.table import Table

from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug
from lm_envs.errors import UnknownNameError

KINDS = ("environments", "tasks", "partners", "rewards", "models", "algorithms")


def list_names(
    kind: Annotated[str | None, typer.Argument(help=f"One of {', '.join(KINDS)}.", show_default="all")] = None,
    debug: Debug = False,
) -> None:
    """List environments, tasks, partners in conversations, rewards, models and algorithms."""
    with errors_as_messages(debug):
        if kind is not None and kind not in KINDS:
            raise UnknownNameError.for_name("kind of name", kind, KINDS)
        for each in KINDS if kind is None else (kind,):
            console().print(_table(each, described(each)))


def described(kind: str) -> dict[str, str]:
    """Every name of a kind, with a sentence about it."""
    return {
        "environments": _environments,
        "tasks": _tasks,
        "partners": _partners,
        "rewards": _rewards,
        "models": _models,
        "algorithms": _algorithms,
    }[kind]()


def _table(kind: str, rows: dict[str, str]) -> Table:
    table = Table(title=kind, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _environments() -> dict[str, str]:
    import gymnasium as gym

    import lm_envs

    found = {}
    for env_id in lm_envs.ENV_IDS:
        module, _, name = str(gym.spec(env_id).entry_point).partition(":")
        found[env_id] = first_line(getattr(importlib.import_module(module), name))
    return found


def _tasks() -> dict[str, str]:
    from lm_envs import tasks

    return {name: tasks.get(name).description for name in tasks.names()}


def _partners() -> dict[str, str]:
    from lm_envs.dialogue.partners import registry

    return {name: first_line(registry.get(name)) for name in registry.names()}


def _rewards() -> dict[str, str]:
    from lm_envs import rewards

    return {name: first_line(rewards.registered(name)) for name in rewards.names()}


def _models() -> dict[str, str]:
    from lm_envs.models import aliases

    return {**aliases(), "(id or folder)": "any causal language model of the Hugging Face hub, or a folder with one"}


def _algorithms() -> dict[str, str]:
    from agents.recipes.algorithms import ALGORITHMS
    from agents.recipes.files import observations

    found = {}
    for name, algorithm in ALGORITHMS.items():
        missing = "" if importlib.util.find_spec(algorithm.module) else " (not installed)"
        note = f", {algorithm.note}" if algorithm.note else ""
        found[name] = f"{algorithm.module}.{algorithm.name}{note}{missing}; observes {' or '.join(observations(name))}"
    return found


def first_line(thing: object) -> str:
    """The first line of a docstring; of a partial's, with what it fixes."""
    if isinstance(thing, functools.partial):
        fixed = ", ".join(f"{name}={value!r}" for name, value in thing.keywords.items())
        return f"{first_line(thing.func)} ({fixed})"
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("``", "'")
