"""``lm-envs play``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from agents.cli.display import SPEAKERS, gold_lines, rewards_line, spoken
from agents.cli.environment_options import EnvironmentOptions, takes_options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Device, Seed, Split
from lm_envs.errors import ConfigurationError

MOST_EPISODES = 1_000


@takes_options
def play(
    options: EnvironmentOptions,
    env_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ENV_ID_OR_RUN",
            help="Environment id, or a run folder: its environment.",
            show_default="TextGen-v0; Dialogue-v0 with --agent",
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="RUN_OR_MODEL",
            help="Be the user: talk to this agent in Dialogue-v0.",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[list[str] | None, typer.Option("--prompt", "-p", help="A prompt of your own.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Whose tokens are counted.", show_default="tiny")
    ] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", "-T", help="The agent's, with --agent.")] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic/--sampled", help="Greedy turns of the agent, or sampled ones.")
    ] = False,
    device: Device = "auto",
    split: Split = "train",
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """Be the agent: type the completion, your turns or labels, see the reward. An empty line ends the game.

    With --agent be the user instead, and talk to a trained or pretrained model; goodbye, or an empty line, ends it.

    Example: lm-envs play TextGen-v0 --task reviews
    Example: lm-envs play Dialogue-v0 --agent runs/MY_RUN
    """
    with errors_as_messages(debug):
        given = options.arguments()
        if agent is not None:
            from agents.cli.talk import talk

            _check_talk(env_id, model, prompt)
            talk(agent, given, temperature, deterministic, device, seed)
            return
        if temperature is not None or deterministic:
            raise ConfigurationError("--temperature and --deterministic are for --agent: you are the agent yourself.")
        _be_the_agent(env_id or "TextGen-v0", given | ({} if model is None else {"model": model}), prompt, split, seed)


def _check_talk(env_id: str | None, model: str | None, prompt: list[str] | None) -> None:
    if env_id not in (None, "Dialogue-v0"):
        raise ConfigurationError(f"--agent lets you talk to an agent in Dialogue-v0; got {env_id!r}.")
    if model is not None or prompt:
        raise ConfigurationError("--model and --prompt do not go with --agent: it names the model, and you type.")


def _be_the_agent(env_id: str, given: dict[str, Any], prompt: list[str] | None, split: str, seed: int) -> None:
    """One episode after the other until the player has enough, or there are no more."""
    import gymnasium as gym

    import lm_envs  # noqa: F401 - registers the environments
    from agents.cli.prompting import own_prompts
    from agents.cli.targets import environment_of
    from agents.evaluation.pretrained_policy import with_token_actions
    from agents.evaluation.prompts import choose_prompts
    from lm_envs.wrappers import TextInterface

    env_id, kwargs = environment_of(env_id, given)
    if env_id == "Tagging-v0" and not prompt:
        from agents.cli.labelling import play_labels

        play_labels(kwargs, split, seed)
        return
    kwargs = with_token_actions(kwargs)
    if prompt:
        kwargs, _ = own_prompts(env_id, kwargs, prompt)
        order = list(range(len(prompt)))
    else:
        order = choose_prompts(kwargs, split, MOST_EPISODES, seed, env_id).tolist()
    env = TextInterface(gym.make(env_id, **{**kwargs, "split": split}))
    returns: list[float] = []
    choices = _choices(env_id, kwargs, split)
    for number, index in enumerate(order):
        info = _episode(env, seed + number, index, choices(index))
        if info is None:
            break
        returns.append(sum(info["reward_terms"].values()))
        _show_end(info)
    env.close()
    show_mean(returns, "conversation" if env.has_turns else "completion")


def show_mean(returns: Sequence[float], noun: str) -> None:
    """Say how well the player did, if anything was played."""
    if returns:
        console().print(f"mean reward of {len(returns)} {noun}(s): [bold]{sum(returns) / len(returns):.3f}[/]")


def _choices(env_id: str, kwargs: dict[str, Any], split: str) -> Callable[[int], Sequence[str]]:
    """The choices of the question of a number; none where answers are free, or nothing is asked."""
    if env_id != "QA-v0":
        return lambda index: ()
    from lm_envs.qa.config import QAConfig

    questions = QAConfig(**{**kwargs, "split": split}).load_questions()
    return lambda index: questions[index].choices


def _episode(env: Any, seed: int, index: int, choices: Sequence[str]) -> dict[str, Any] | None:
    """Play one episode; the info of its end, None where the player has had enough."""
    _, info = env.reset(seed=seed, options={"index": index})
    n_shown = 0
    while True:
        for message in info["messages"][n_shown:]:
            speaker = SPEAKERS[message["role"]] if env.has_turns else "prompt"
            console().print(spoken(speaker, message["content"]), soft_wrap=True)
        if choices:
            console().print(spoken("choices", " | ".join(choices)), soft_wrap=True)
        typed = read_line()
        if not typed.strip():
            return None
        _, _, terminated, truncated, info = env.step(typed)
        n_shown = len(info["messages"])
        if info["messages"][-1]["role"] == "user":
            n_shown -= 1
        if terminated or truncated:
            for message in info["messages"][n_shown:]:
                console().print(spoken("user", message["content"]), soft_wrap=True)
            return dict(info)


def _show_end(info: dict[str, Any]) -> None:
    """What an episode has earned, the gold answer, and in a conversation what has become of the user's goal."""
    for text in gold_lines({**info, "choices": ()}):
        console().print(text, soft_wrap=True)
    for slot, state in info.get("goal_state", {}).items():
        wanted = info.get("goal", {}).get(slot, "")
        console().print(Text.assemble(("goal    ", "dim"), f"{slot}: {wanted} ", (f"({state})", "dim")))
    line = rewards_line(info["reward_terms"])
    line.append(f"   [{info['n_new_tokens']} tokens, {info['stop_reason']}]", style="dim")
    console().print(line, end="\n\n")


def read_line() -> str:
    """What the player types; empty at the end of the input."""
    try:
        return console().input("[bold]you[/]     ")
    except EOFError:
        console().print()
        return ""
