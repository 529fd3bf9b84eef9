"""``lm-envs evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.environment_options import PolicyOptions, takes_options
from agents.cli.messages import console, errors_as_messages
from agents.cli.options import Debug, Json, Seed, Split, reward_specification
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.cli.targets import Target
    from agents.evaluation import Evaluation
    from agents.evaluation.text_agents import Speaker


@takes_options
def evaluate(
    options: PolicyOptions,
    target: Annotated[
        str | None, typer.Argument(metavar="RUN_OR_MODEL", help="Run folder, saved zip, model name, or environment id.")
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
    best_of: Annotated[
        int | None,
        typer.Option("--best-of", min=2, metavar="N", help="Also the best of N completions.", show_default=False),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="REWARD",
            help="What chooses the best, as --reward; else the task's own.",
            show_default=False,
        ),
    ] = None,
    split: Split = "test",
    prompts: Annotated[
        int, typer.Option("--prompts", "-n", min=1, help="How many prompts, or scenarios, of the split.")
    ] = 256,
    seed: Seed = 0,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown and nothing else.")] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Also write FILE.json or FILE.md; several.", show_default=False
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Measure a model or an agent on held-out prompts, against the untrained model: means with 95% intervals.

    Questions: exact match and F1, or accuracy; tagging: entities; texts with references: ROUGE, chrF and BLEU.

    The difference from the untrained model is that on the same prompts, by a paired bootstrap. The best of N texts of
    the untrained model, chosen by --by and measured with the task's own reward, is what a training has to beat.

    Example: lm-envs evaluate runs/MY_RUN --split test --prompts 256
    Example: lm-envs evaluate runs/MY_RUN --best-of 16 --by model:REWARD_MODEL
    Example: lm-envs evaluate --env Dialogue-v0 --agent my_agents:polite
    """
    with errors_as_messages(debug):
        from agents.cli.targets import DEFAULT_MODEL
        from agents.evaluation.text_agents import import_agent

        if target is None and agent is None:
            raise ConfigurationError("nothing to evaluate: name a run folder or a model, or give --agent.")
        if by and best_of is None:
            raise ConfigurationError("--by says what chooses the best of several completions: give --best-of N, too.")
        _check_outputs(output or [], as_json, as_markdown)
        speaker = None if agent is None else import_agent(agent)
        loaded = options.load(target or DEFAULT_MODEL, split)
        greedy = options.greedy(loaded)
        found = _measure(loaded, split, prompts, seed, greedy, needs_untrained=agent is not None)
        if speaker is not None:
            found["agent"] = _measure_agent(speaker, loaded, split, prompts, seed, concurrency)
        columns = _columns(found)
        if best_of is not None:
            chooser = reward_specification(by)
            columns |= _best_of(loaded, found, best_of, chooser, split, prompts, seed)
        form = "json" if as_json else "markdown" if as_markdown else "table"
        what = " and ".join(name for name in (target, agent) if name is not None)
        _show(what, columns, greedy, form, output or [])
        if best_of is not None and form == "table":
            cost = columns[f"best of {best_of}"]["best_of_n"]
            console().print(f"best of {best_of}: {cost['tokens']:,} tokens were written; its KL is an upper bound")


def _check_outputs(files: Sequence[Path], as_json: bool, as_markdown: bool) -> None:
    """Raise a ConfigurationError for what could not be written, before the work and not after it."""
    if as_json and as_markdown:
        raise ConfigurationError("--json and --markdown both print to standard output: choose one, or use --output.")
    for file in files:
        if file.suffix not in (".json", ".md"):
            raise ConfigurationError(f"--output writes .json or .md by the file's ending; got {str(file)!r}.")
        if not file.parent.is_dir():
            raise ConfigurationError(f"--output {str(file)!r}: there is no folder {str(file.parent)!r}.")


def _show(what: str, columns: dict[str, Any], greedy: bool, form: str, files: Sequence[Path]) -> None:
    """Print the evaluations, and write them into files."""
    from agents.cli.display import evaluation_title, print_evaluation
    from agents.cli.metric_table import markdown

    title = f"{what}: {evaluation_title(next(iter(columns.values())), greedy)}"
    texts = {".json": json.dumps(columns, indent=2, ensure_ascii=False) + "\n", ".md": markdown(title, columns)}
    for file in files:
        file.write_text(texts[file.suffix], encoding="utf-8")
    if form == "table":
        print_evaluation(console(), title, columns)
    else:
        typer.echo(texts[".json" if form == "json" else ".md"], nl=False)


def _measure(
    target: Target, split: str, n_prompts: int, seed: int, greedy: bool, needs_untrained: bool
) -> dict[str, Evaluation]:
    """The policy, and what it is compared with: itself before training, where it is trained."""
    from agents.evaluation import evaluate
    from agents.evaluation.pretrained_policy import untrained, untrained_kwargs

    reference, its_wrapper = untrained(target.policy, target.env_id, target.env_kwargs, target.wrapper)
    its_kwargs = untrained_kwargs(target.policy, target.env_kwargs)
    policies: dict[str, tuple[Any, Any, Any]] = {
        "untrained": (reference.to(target.policy.device), its_kwargs, its_wrapper),
        "trained": (target.policy, target.env_kwargs, target.wrapper),
    }
    if not target.trained:
        policies = {"untrained" if needs_untrained else "model": policies["trained"]}
    found = {}
    for name, (policy, kwargs, wrapper) in policies.items():
        with console().status(f"evaluating the {name} model".replace("model model", "model")):
            found[name] = evaluate(
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
    return found


def _measure_agent(
    speaker: Speaker, target: Target, split: str, n_prompts: int, seed: int, concurrency: int
) -> Evaluation:
    """The agent, in the policy's environment."""
    from agents.evaluation import evaluate_agent
    from agents.evaluation.pretrained_policy import with_token_actions

    with console().status(f"evaluating the agent {speaker.name}"):
        return evaluate_agent(
            speaker,
            target.env_id,
            with_token_actions(target.env_kwargs),
            split=split,
            n_prompts=n_prompts,
            seed=seed,
            batch_size=concurrency,
        )


def _best_of(
    target: Target, found: dict[str, Evaluation], n: int, chooser: Any, split: str, n_prompts: int, seed: int
) -> dict[str, Any]:
    """The best of several completions by the untrained model, in its column, with the difference from one of them."""
    from agents.baselines.best_of_n import best_of_n, with_bound
    from agents.evaluation.pretrained_policy import untrained, untrained_kwargs

    writer, wrapper = untrained(target.policy, target.env_id, target.env_kwargs, target.wrapper)
    kwargs = untrained_kwargs(target.policy, target.env_kwargs)
    with console().status(f"writing {n} texts for each prompt"):
        best = best_of_n(
            writer.to(target.policy.device),
            target.env_id,
            kwargs,
            n,
            reward=chooser,
            split=split,
            n_prompts=n_prompts,
            seed=seed,
            wrapper_class=wrapper,
        )
    first = next(iter(found.values()))
    difference = {name: item.to_dict() for name, item in best.evaluation.difference_from(first).items()}
    shown = with_bound(best) if writer.actions_are != "choices" else best.evaluation
    return {f"best of {n}": {**best.to_dict(), **shown.to_dict(), "difference": difference}}


def _columns(found: dict[str, Evaluation]) -> dict[str, Any]:
    """The evaluations as JSON values, with each one's difference from the first.

    What only one of two policies has is left out: the divergence of a language model beside a value policy, the length
    of its texts beside choices. So is the divergence of a language model from itself beside an agent.
    """
    policies = [result for name, result in found.items() if name != "agent"]
    kept = set.intersection(*(set(result.metrics) for result in policies))
    if len(policies) < 2 and "agent" in found:
        kept -= {"kl"}
    first, columns = policies[0], {}
    for name, result in found.items():
        columns[name] = column = result.to_dict()
        if result is not first:
            column["difference"] = {key: item.to_dict() for key, item in result.difference_from(first).items()}
        for part in ("metrics", "difference"):
            shown = {key: value for key, value in column.get(part, {}).items() if key in kept or name == "agent"}
            column.update({part: shown} if part in column else {})
    return columns
