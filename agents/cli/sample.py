"""``lm-envs sample``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from agents.cli.environment_options import PolicyOptions, takes_options
from agents.cli.messages import console, errors_as_messages, say
from agents.cli.options import Debug, Json, Seed, Split


@takes_options
def sample(
    target: Annotated[
        str, typer.Argument(metavar="RUN_OR_MODEL", help="Run folder, saved zip, model name, or environment id.")
    ],
    options: PolicyOptions,
    texts: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", help="Prompts of your own.")] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Completions for each prompt.")] = 1,
    prompts: Annotated[int, typer.Option("--prompts", "-p", min=1, help="Prompts of the split, if none given.")] = 4,
    split: Split = "validation",
    temperature: Annotated[float | None, typer.Option("--temperature", "-T", help="Instead of the policy's.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a model complete prompts, yours or those of a split, or hold conversations.

    Example: lm-envs sample runs/MY_RUN --n 3 --temperature 0.7
    """
    with errors_as_messages(debug):
        loaded = options.load(target, split)
        from agents.cli.prompting import own_prompts
        from agents.evaluation.generation import complete
        from agents.evaluation.prompts import choose_prompts

        kwargs, rewarded = loaded.env_kwargs, True
        if texts:
            kwargs, rewarded = own_prompts(loaded.env_id, kwargs, texts)
            indices = list(range(len(texts)))
        else:
            indices = choose_prompts(kwargs, split, prompts, seed, loaded.env_id).tolist()
        if n > 1 and options.greedy(loaded):
            say("note", "yellow", f"completions are greedy: the {n} of each prompt are the same.")
        found = complete(
            loaded.policy,
            loaded.env_id,
            kwargs,
            wrapper_class=loaded.wrapper,
            indices=[index for index in indices for _ in range(n)],
            split=split,
            seed=seed,
            deterministic=options.greedy(loaded),
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
