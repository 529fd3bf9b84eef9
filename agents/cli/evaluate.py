"""``lm-envs evaluate``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.environment_options import PolicyOptions, takes_options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Json, Seed, Split

if TYPE_CHECKING:
    from agents.cli.targets import Target


@takes_options
def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_MODEL", help="Run folder, saved zip, or model name.")],
    options: PolicyOptions,
    split: Split = "test",
    prompts: Annotated[int, typer.Option("--prompts", "-n", min=1, help="How many prompts of the split.")] = 256,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model on held-out prompts, against the untrained model: means with 95% bootstrap intervals.

    Example: lm-envs evaluate runs/MY_RUN --split test --prompts 256
    """
    with errors_as_messages(debug):
        loaded = options.load(target, split)
        greedy = options.greedy(loaded)
        columns = _measure(loaded, split, prompts, seed, greedy)
        if as_json:
            typer.echo(json.dumps(columns, indent=2))
            return
        from agents.cli.display import evaluation_table, evaluation_title

        n = next(iter(columns.values()))["n_prompts"]
        title = f"{target}: {evaluation_title(n, split, greedy)}"
        console().print(title, style="bold", markup=False, soft_wrap=True)
        console().print(evaluation_table(console(), columns))


def _measure(target: Target, split: str, n_prompts: int, seed: int, greedy: bool) -> dict[str, Any]:
    from agents.evaluation import evaluate
    from agents.evaluation.pretrained_policy import untrained

    reference, its_wrapper = untrained(target.policy, target.env_id, target.env_kwargs, target.wrapper)
    policies: dict[str, tuple[Any, Any]] = {"untrained": (reference.to(target.policy.device), its_wrapper)}
    policies["trained"] = (target.policy, target.wrapper)
    if not _is_trained(target.policy):
        policies = {"model": (target.policy, target.wrapper)}
    found = {}
    for name, (policy, wrapper) in policies.items():
        with console().status(f"evaluating the {name} model".replace("model model", "model")):
            result = evaluate(
                policy,
                target.env_id,
                target.env_kwargs,
                wrapper_class=wrapper,
                split=split,
                n_prompts=n_prompts,
                seed=seed,
                deterministic=greedy,
                reference=reference,
            )
        found[name] = result.to_dict()
    return _without_one_sided(found)


def _without_one_sided(columns: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only one of the policies has: the divergence, where a value policy has none."""
    shared = set.intersection(*(set(column["metrics"]) for column in columns.values()))
    return {
        name: {**column, "metrics": {key: value for key, value in column["metrics"].items() if key in shared}}
        for name, column in columns.items()
    }


def _is_trained(policy: Any) -> bool:
    """False for a language model with new heads: its low-rank change starts at zero."""
    from agents.policies.actor_critic import LMActorCriticPolicy

    if not isinstance(policy, LMActorCriticPolicy) or policy.trainable != "heads" or policy.adapter is None:
        return True
    return bool(policy.adapter.up.weight.any())
