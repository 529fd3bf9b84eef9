"""``lm-envs sample``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from agents.cli.evaluate import load_target
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Dataset, Debug, Device, Environment, EnvKwarg, Json, Reward, Seed, Split, Task


def sample(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_MODEL", help="Run folder, saved zip, or model name.")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", help="Prompts of your own.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Completions for each prompt.")] = 1,
    prompts: Annotated[int, typer.Option("--prompts", "-p", min=1, help="Prompts of the split, if none given.")] = 4,
    split: Split = "validation",
    temperature: Annotated[float | None, typer.Option("--temperature", "-T", help="Instead of the policy's.")] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Greedy completions.")] = False,
    seed: Seed = 0,
    env: Environment = None,
    task: Task = None,
    dataset: Dataset = None,
    reward: Reward = None,
    env_kwarg: EnvKwarg = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a model complete prompts, yours or those of a split.

    Example: lm-envs sample runs/MY_RUN --n 3 --temperature 0.7
    """
    with errors_as_messages(debug):
        loaded = load_target(target, env, task, dataset, reward, env_kwarg, device, split)
        from agents.cli.prompting import own_prompts
        from agents.generation import complete
        from agents.prompts import choose_prompts

        kwargs, rewarded = loaded.env_kwargs, True
        if texts:
            kwargs, rewarded = own_prompts(kwargs, texts)
            indices = list(range(len(texts)))
        else:
            indices = choose_prompts(kwargs, split, prompts, seed).tolist()
        repeated = [index for index in indices for _ in range(n)]
        found = complete(
            loaded.policy,
            loaded.env_id,
            kwargs,
            indices=repeated,
            split=split,
            seed=seed,
            deterministic=deterministic,
            temperature=temperature,
        )
        _show([item.to_dict() for item in found], rewarded, as_json)


def _show(items: list[dict[str, Any]], rewarded: bool, as_json: bool) -> None:
    if as_json:
        hidden = () if rewarded else ("reward", "reward_terms")
        rows = [{key: value for key, value in item.items() if key not in hidden} for item in items]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from agents.cli.display import episode

    for item in items:
        console().print(episode(item, rewarded), end="\n\n")
