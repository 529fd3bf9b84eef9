"""``lm-envs play``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.text import Text

from agents.cli.display import rewards_line
from agents.cli.environment_options import EnvironmentOptions, takes_options
from agents.cli.messages import console, errors_as_messages, printable
from agents.cli.options import Debug, Seed, Split
from lm_envs.errors import ConfigurationError


@takes_options
def play(
    options: EnvironmentOptions,
    env_id: Annotated[
        str, typer.Argument(metavar="[ENV_ID_OR_RUN]", help="Environment id, or a run folder: its environment.")
    ] = "TextGen-v0",
    prompt: Annotated[list[str] | None, typer.Option("--prompt", "-p", help="A prompt of your own.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Whose tokens are counted.", show_default="tiny")
    ] = None,
    split: Split = "train",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Be the agent: type the completion, see the reward. An empty line ends the game.

    Example: lm-envs play TextGen-v0 --task reviews
    """
    with errors_as_messages(debug):
        from agents.cli.prompting import own_prompts
        from agents.cli.targets import environment_of
        from agents.evaluation.prompts import choose_prompts

        given = options.arguments() | ({} if model is None else {"model": model})
        env_id, kwargs = environment_of(env_id, given)
        if prompt:
            kwargs, _ = own_prompts(kwargs, prompt)
        order = list(range(len(prompt))) if prompt else choose_prompts(kwargs, split, sys.maxsize, seed).tolist()
        _play(env_id, kwargs, split, order)


def _play(env_id: str, kwargs: dict[str, Any], split: str, order: list[int]) -> None:
    """One episode after the other until the player has enough, or the prompts are through."""
    import gymnasium as gym

    import lm_envs  # noqa: F401 - registers the environments
    from agents.evaluation.prompts import load_prompts

    env = gym.make(env_id, **{**kwargs, "split": split})
    prompts = load_prompts(kwargs, split).prompts
    returns: list[float] = []
    for index in order:
        env.reset(options={"index": index})
        console().print(Text.assemble(("prompt  ", "dim"), printable(prompts[index])), soft_wrap=True)
        typed = _read_line()
        if not typed.strip():
            break
        info = write_text(env, joined(prompts[index], typed), kwargs["model"])
        returns.append(sum(info["reward_terms"].values()))
        line = rewards_line(info["reward_terms"])
        line.append(f"   [{info['n_new_tokens']} tokens, {info['stop_reason']}]", style="dim")
        console().print(line, end="\n\n")
    env.close()
    if returns:
        console().print(f"mean reward of {len(returns)} completion(s): [bold]{sum(returns) / len(returns):.3f}[/]")


def _read_line() -> str:
    try:
        return console().input("[bold]you[/]     ")
    except EOFError:
        console().print()
        return ""


def joined(prompt: str, typed: str) -> str:
    """``typed`` with the space that a word needs after a prompt that ends without one."""
    return f" {typed}" if typed[0].isalnum() and prompt[-1:].strip() else typed


def write_text(env: Any, text: str, model: str) -> dict[str, Any]:
    """Write a text into a running episode, token by token, and end it.

    Returns:
        The info of the episode's end. A text longer than the budget is cut off there.

    Raises:
        ConfigurationError: The model has no end-of-text token to end the episode with.
    """
    from lm_envs.vocabulary import load_vocabulary

    vocabulary = load_vocabulary(model)
    if not vocabulary.eos_ids:
        raise ConfigurationError(f"the model {model!r} has no end-of-text token, so that no text can be finished.")
    ids = vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"]
    for token in [*ids, vocabulary.eos_ids[0]]:
        *_, terminated, truncated, info = env.step(token)
        if terminated or truncated:
            return dict(info)
    raise AssertionError("an end-of-text token ends the episode")
