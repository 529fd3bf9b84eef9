"""``lm-envs evaluate``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.messages import console, errors_as_messages
from agents.cli.options import (
    Dataset,
    Debug,
    Device,
    Environment,
    EnvKwarg,
    Json,
    Reward,
    Seed,
    Split,
    Task,
    environment_arguments,
    reward_specification,
)

if TYPE_CHECKING:
    from agents.cli.targets import Target


def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_MODEL", help="Run folder, saved zip, or model name.")],
    split: Split = "test",
    prompts: Annotated[int, typer.Option("--prompts", "-n", min=1, help="How many prompts of the split.")] = 256,
    seed: Seed = 0,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Greedy completions.")] = False,
    env: Environment = None,
    task: Task = None,
    dataset: Dataset = None,
    reward: Reward = None,
    env_kwarg: EnvKwarg = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a model on held-out prompts, against the untrained model: means with 95% bootstrap intervals.

    Example: lm-envs evaluate runs/MY_RUN --split test --prompts 256
    """
    with errors_as_messages(debug):
        loaded = load_target(target, env, task, dataset, reward, env_kwarg, device, split)
        columns = _measure(loaded, split, prompts, seed, deterministic)
        if as_json:
            typer.echo(json.dumps(columns, indent=2))
            return
        from agents.cli.display import evaluation_table

        n = next(iter(columns.values()))["n_prompts"]
        title = f"{target}: {n} prompts of the split {split!r}, 95% intervals"
        console().print(title, style="bold", markup=False, soft_wrap=True)
        console().print(evaluation_table(console(), columns))


def load_target(
    target: str,
    env: str | None,
    task: str | None,
    dataset: str | None,
    reward: list[str] | None,
    env_kwarg: list[str] | None,
    device: str,
    split: str,
) -> Target:
    """Check the options, then load the policy that they name."""
    from agents.cli.targets import find_source
    from lm_envs.errors import UnknownNameError
    from lm_envs.tasks import SPLITS

    if split not in SPLITS:
        raise UnknownNameError.for_name("split", split, SPLITS)
    given = {"task": task, "dataset": dataset, "reward": reward_specification(reward)}
    overrides = {key: value for key, value in given.items() if value is not None}
    source = find_source(target, env, {**environment_arguments(env_kwarg), **overrides})
    with console().status("loading the model"):
        return source.load(device)


def _measure(target: Target, split: str, n_prompts: int, seed: int, deterministic: bool) -> dict[str, Any]:
    from agents.evaluation import evaluate, reference_policy

    reference = reference_policy(target.policy)
    policies = {"untrained": reference, "trained": target.policy}
    if target.policy.trainable == "heads" and not _is_changed(target.policy):
        policies = {"model": target.policy}
    found = {}
    for name, policy in policies.items():
        with console().status(f"evaluating the {name} model".replace("model model", "model")):
            result = evaluate(
                policy,
                target.env_id,
                target.env_kwargs,
                split=split,
                n_prompts=n_prompts,
                seed=seed,
                deterministic=deterministic,
                reference=reference,
            )
        found[name] = result.to_dict()
    return found


def _is_changed(policy: Any) -> bool:
    """Whether a policy with frozen language model has learned anything: its low-rank change starts at zero."""
    return bool(policy.adapter.up.weight.any())
