"""``lm-envs evaluate``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.environment_options import PolicyOptions, takes_options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Json, Seed, Split
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.cli.targets import Target
    from agents.evaluation.text_agents import Speaker


@takes_options
def evaluate(
    options: PolicyOptions,
    target: Annotated[
        str | None, typer.Argument(metavar="RUN_OR_MODEL", help="Run folder, saved zip, or model name.")
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="MODULE:FUNCTION",
            help="An agent that speaks text, beside the model: function(messages) -> str, plain or async.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, help="Episodes of an async agent at the same time.")
    ] = 16,
    split: Split = "test",
    prompts: Annotated[
        int, typer.Option("--prompts", "-n", min=1, help="How many prompts, or scenarios, of the split.")
    ] = 256,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model or an agent on held-out prompts, against the untrained model: means with 95% intervals.

    Example: lm-envs evaluate runs/MY_RUN --split test --prompts 256
    Example: lm-envs evaluate --env Dialogue-v0 --agent my_agents:polite
    """
    with errors_as_messages(debug):
        from agents.cli.targets import DEFAULT_MODEL
        from agents.evaluation.text_agents import import_agent

        if target is None and agent is None:
            raise ConfigurationError("nothing to evaluate: name a run folder or a model, or give --agent.")
        speaker = None if agent is None else import_agent(agent)
        loaded = options.load(target or DEFAULT_MODEL, split)
        greedy = options.greedy(loaded)
        columns = _measure(loaded, split, prompts, seed, greedy, needs_untrained=agent is not None)
        if speaker is not None:
            columns["agent"] = _measure_agent(speaker, loaded, split, prompts, seed, concurrency)
        if as_json:
            typer.echo(json.dumps(columns, indent=2))
            return
        from agents.cli.display import evaluation_table, evaluation_title

        what = " and ".join(name for name in (target, agent) if name is not None)
        title = f"{what}: {evaluation_title(next(iter(columns.values())), greedy)}"
        console().print(title, style="bold", markup=False, soft_wrap=True)
        console().print(evaluation_table(console(), columns))


def _measure(
    target: Target, split: str, n_prompts: int, seed: int, greedy: bool, needs_untrained: bool
) -> dict[str, Any]:
    """The policy, and what it is compared with: itself before training, where it is trained."""
    from agents.evaluation import evaluate
    from agents.evaluation.pretrained_policy import untrained, untrained_kwargs

    reference, its_wrapper = untrained(target.policy, target.env_id, target.env_kwargs, target.wrapper)
    its_kwargs = untrained_kwargs(target.policy, target.env_kwargs)
    policies: dict[str, tuple[Any, Any, Any]] = {
        "untrained": (reference.to(target.policy.device), its_kwargs, its_wrapper),
        "trained": (target.policy, target.env_kwargs, target.wrapper),
    }
    if not _is_trained(target.policy):
        policies = {"untrained" if needs_untrained else "model": policies["trained"]}
    found = {}
    for name, (policy, kwargs, wrapper) in policies.items():
        with console().status(f"evaluating the {name} model".replace("model model", "model")):
            result = evaluate(
                policy,
                target.env_id,
                kwargs,
                wrapper_class=wrapper,
                split=split,
                n_prompts=n_prompts,
                seed=seed,
                deterministic=greedy,
                reference=reference,
            )
        found[name] = result.to_dict()
    if len(found) == 1 and needs_untrained:
        found["untrained"]["metrics"].pop("kl", None)  # from itself
    return _without_one_sided(found)


def _measure_agent(
    speaker: Speaker, target: Target, split: str, n_prompts: int, seed: int, concurrency: int
) -> dict[str, Any]:
    """The agent, in the policy's environment."""
    from agents.evaluation import evaluate_agent
    from agents.evaluation.pretrained_policy import with_token_actions

    with console().status(f"evaluating the agent {speaker.name}"):
        result = evaluate_agent(
            speaker,
            target.env_id,
            with_token_actions(target.env_kwargs),
            split=split,
            n_prompts=n_prompts,
            seed=seed,
            batch_size=concurrency,
        )
    return result.to_dict()


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
