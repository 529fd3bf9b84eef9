"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lm_envs.errors import ConfigurationError

Task = Annotated[str | None, typer.Option("--task", "-t", help="Task, see 'lm-envs list'.", show_default=False)]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset", "-d", help="Your own prompts or dialogues: a file, a folder or a datasets id.", show_default=False
    ),
]
Reward = Annotated[
    list[str] | None,
    typer.Option(
        "--reward",
        "-r",
        metavar="[WEIGHT*]NAME[:PARAMETER=VALUE]",
        help="Reward instead of the task's; several are summed. Example: -r sentiment -r '0.2*repetition'.",
        show_default=False,
    ),
]
EnvKwarg = Annotated[
    list[str] | None,
    typer.Option("--env-kwarg", "-E", metavar="KEY=VALUE", help="Environment argument.", show_default=False),
]
Environment = Annotated[str | None, typer.Option("--env", help="Environment id.", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", "-s", min=0, help="Seed of everything random.")]
Split = Annotated[str, typer.Option("--split", help="train, validation or test.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def key_values(texts: Sequence[str] | None, option: str, example: str = "max_new_tokens=24") -> dict[str, Any]:
    """Read ``KEY=VALUE`` texts; values are Python literals where they are one, else strings.

    Raises:
        ConfigurationError: A text has no ``=`` or no usable key, or a key comes twice.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise ConfigurationError(f"{option} expects KEY=VALUE, for example {option} {example}; got {text!r}.")
        if key in found:
            raise ConfigurationError(f"{option} {key} is given twice.")
        found[key] = _value(value.strip())
    return found


def environment_arguments(texts: Sequence[str] | None) -> dict[str, Any]:
    """Read the ``--env-kwarg`` options; whether the environment has such arguments is not checked yet.

    Raises:
        ConfigurationError: As :func:`key_values` does, or an argument has an option of its own.
    """
    found = key_values(texts, "--env-kwarg")
    for key in found:
        if key in _OTHER_OPTIONS:
            raise ConfigurationError(f"{key!r} is no further argument of the environment: it has a setting of its own.")
    return found


_OTHER_OPTIONS = ("model", "task", "dataset", "reward", "split", "device", "render_mode")


def _value(text: str) -> Any:
    plain = {"true": True, "false": False, "none": None}
    if text.lower() in plain:
        return plain[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def reward_specification(texts: Sequence[str] | None) -> str | dict[str, float] | None:
    """Read ``[WEIGHT*]NAME`` texts.

    Returns:
        None for no text, a name for a single one without weight, else names with weights.

    Raises:
        ConfigurationError: A weight is no number, or a reward comes twice.
        UnknownNameError: There is no such reward.
    """
    weights: dict[str, float] = {}
    for text in texts or ():
        weight, star, name = text.partition("*")
        name = (name if star else weight).strip()
        if name in weights:
            raise ConfigurationError(f"--reward {name} is given twice. Give it one weight: --reward '2*{name}'.")
        weights[name] = _weight(weight, text) if star else 1.0
    if not weights:
        return None
    _check_reward(weights)
    return next(iter(weights)) if list(weights.values()) == [1.0] else weights


def _weight(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--reward expects WEIGHT*NAME, for example '0.2*repetition'; got {whole!r}."
        ) from error


def _check_reward(weights: dict[str, float]) -> None:
    from lm_envs.rewards import make_reward

    make_reward(weights)
