"""Items to be labelled: completions of the same prompts by one policy or by several."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.evaluation.generation import Completion, complete
from agents.evaluation.prompts import choose_prompts
from agents.feedback.answers import MOST_COMPLETIONS, Item
from agents.feedback.store import FeedbackStore
from agents.policies.value_policies import is_value_policy
from lm_envs.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from agents.cli.targets import Source, Target


@dataclass(frozen=True)
class Collected:
    """What was collected.

    Attributes:
        sampled: Items that were sampled.
        new: Those of them that were not in the store before.
    """

    sampled: int
    new: int


def collect_items(
    store: FeedbackStore,
    targets: str | Sequence[str],
    n_prompts: int,
    n_completions: int = 2,
    *,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    temperature: float | None = None,
    split: str = "train",
    seed: int = 0,
    device: str = "auto",
) -> Collected:
    """Sample items, see :func:`sample_items`, and write them into a store.

    Args:
        store: The store; items that it has already, with completions in whatever order, are left as they are.
        targets: Who writes: run folders, saved zips or names of models. A model alone writes in the environment of the
            first run.
        n_prompts: Prompts.
        n_completions: Completions for each prompt, 2 to 4, by turns.
        env_id: The environment; None for each run's own.
        env_kwargs: Environment arguments that replace those of all.
        temperature: Instead of each policy's own.
        split: Where the prompts are from.
        seed: Chooses the prompts, and seeds what is written.
        device: Where the policies go.

    Raises:
        ConfigurationError: A target is there twice, or as :func:`sample_items`.
        LMEnvsError: There is no such policy or environment, or there is nothing to choose.
    """
    sources = find_sources([targets] if isinstance(targets, str) else targets, env_id, env_kwargs or {})
    writers = {name: source.load(device) for name, source in sources.items()}
    items = sample_items(writers, n_prompts, n_completions, temperature=temperature, split=split, seed=seed)
    return Collected(sampled=len(items), new=store.add_items(items))


def find_sources(names: Sequence[str], env_id: str | None, overrides: Mapping[str, Any]) -> dict[str, Source]:
    """Policies by name; a model alone gets the environment of the first run.

    Raises:
        ConfigurationError: A name is there twice.
        LMEnvsError: There is no such policy or environment.
    """
    from agents.cli.targets import find_source

    if len(set(names)) < len(names):
        raise ConfigurationError(
            f"each policy is named once; got {', '.join(names)}. Ask for more completions instead."
        )
    found = {name: find_source(name, env_id, overrides) for name in names}
    run = next((source for source in found.values() if source.trained_in is not None), None)
    return found if run is None else {name: _in_environment_of(run, source) for name, source in found.items()}


def _in_environment_of(run: Source, source: Source) -> Source:
    if source.trained_in is not None:
        return source
    return dataclasses.replace(source, env_id=run.env_id, env_kwargs={**run.env_kwargs, "model": source.model})


def sample_items(
    writers: Mapping[str, Target],
    n_prompts: int,
    n_completions: int = 2,
    *,
    temperature: float | None = None,
    seed: int = 0,
    split: str = "train",
) -> list[Item]:
    """Let policies complete prompts, several times each.

    Policies take turns: with four completions of two policies, each writes two. Completions that a prompt has already
    are dropped, and so is a prompt that is left with a single one.

    Args:
        writers: Policies with their environments, by the names that become the items' sources. All of them have the
            prompts of the first one's environment.
        n_prompts: Prompts; all of the split where there are fewer.
        n_completions: Completions for each prompt, 2 to 4, and no fewer than policies.
        temperature: Sample at this temperature instead of each policy's own; value policies are always greedy.
        seed: Chooses the prompts, and seeds what is written.
        split: Where the prompts are from.

    Raises:
        ConfigurationError: The number of completions does not fit, the environments have other prompts, or episodes are
            conversations of several turns.
        DataError: All completions of each prompt are equal.
    """
    if not 2 <= n_completions <= MOST_COMPLETIONS or not 1 <= len(writers) <= n_completions:
        raise ConfigurationError(
            f"expected 2 to {MOST_COMPLETIONS} completions for each prompt, of at most as many policies; got "
            f"{n_completions} completions of {len(writers)} policies."
        )
    first = next(iter(writers.values()))
    indices = choose_prompts(first.env_kwargs, split, n_prompts, seed, first.env_id).tolist()
    written: list[list[tuple[str, Completion]]] = [[] for _ in indices]
    for place, (name, target) in enumerate(writers.items()):
        n_own = len(range(place, n_completions, len(writers)))
        found = _write(target, [i for i in indices for _ in range(n_own)], temperature, seed + place, split)
        for row, completion in enumerate(found):
            written[row // n_own].append((name, completion))
    items = [item for item in map(_item, written) if item is not None]
    if not items:
        raise DataError(
            f"all completions of each of the {len(indices)} prompts are equal: there is nothing to choose. Sample at a "
            "higher temperature, or collect from several policies."
        )
    return items


def _write(target: Target, indices: list[int], temperature: float | None, seed: int, split: str) -> list[Completion]:
    greedy = is_value_policy(target.policy)
    return complete(
        target.policy,
        target.env_id,
        target.env_kwargs,
        wrapper_class=target.wrapper,
        indices=indices,
        split=split,
        seed=seed,
        deterministic=greedy,
        temperature=None if greedy else temperature,
    )


def _item(written: list[tuple[str, Completion]]) -> Item | None:
    """The item of a prompt; None where only one completion is different."""
    prompts = {completion.prompt for _, completion in written}
    if len(prompts) > 1:
        raise ConfigurationError(
            f"the policies' environments have other prompts: {sorted(prompts)!r:.200}. Name the same --task or "
            "--dataset for all."
        )
    if any((completion.n_turns or 0) > 1 for _, completion in written):
        raise ConfigurationError(
            "conversations of several turns cannot be compared: the user says something else in each. Compare first "
            "turns: -E max_turns=1."
        )
    sources: dict[str, str] = {}
    for name, completion in written:
        sources.setdefault(completion.completion, name)
    return Item(prompts.pop(), tuple(sources), tuple(sources.values())) if len(sources) > 1 else None
