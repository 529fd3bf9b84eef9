"""How good a policy is: rewards, the metrics of the field, variety, distance from the pretrained model, intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.policies import BasePolicy

from agents.evaluation.conversations import converse
from agents.evaluation.entity_metrics import TypeScore, entity_report
from agents.evaluation.estimates import CorpusMetric, Estimate, differences, estimates, mean_of
from agents.evaluation.field_metrics import field_metrics, is_tagging, is_written
from agents.evaluation.generation import Completion, complete, log_probs, seeded
from agents.evaluation.prompts import choose_prompts
from agents.evaluation.text_agents import Speaker, TextAgent
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.recipes.train_config import DEFAULT_TASKS, SMALL_WORLD_TASKS
from lm_envs.errors import ConfigurationError


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes:
        split: Which split the prompts are of.
        seed: Seed of the choice of prompts and of the sampling.
        metrics: By name: ``"reward"`` (the sum of all terms), ``"reward/NAME"`` for each term where there are several,
            ``"grammar"`` (share of texts that the small world's grammar accepts) and ``"success"`` where the task has
            them, those of :func:`agents.evaluation.field_metrics.field_metrics`, and, of agents that write,
            ``"distinct_2"`` (different word pairs / word pairs, of all completions together,
            https://arxiv.org/abs/1510.03055), ``"kl"`` (divergence from the pretrained model, nats per episode: the
            sampled ``log_prob - reference_log_prob``, summed over the completion; for actor-critic policies; among
            candidates and legal actions where the environment has them), ``"length"`` (tokens), ``"turns"`` (of the
            agent; in conversations).
        completions: The episodes, in the order of the prompts.
        entities: In ``Tagging-v0`` the report by type of
            :func:`agents.evaluation.entity_metrics.entity_report`; elsewhere empty.
        of_episodes: What ``metrics`` were computed from, but for ``"distinct_2"``.
    """

    split: str
    seed: int
    metrics: dict[str, Estimate]
    completions: list[Completion] = field(repr=False)
    entities: dict[str, TypeScore] = field(default_factory=dict, repr=False)
    of_episodes: dict[str, CorpusMetric] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_prompts(self) -> int:
        """Number of prompts."""
        return len(self.completions)

    def difference_from(self, other: Evaluation) -> dict[str, Estimate]:
        """How much higher each metric is here than there, with 95% intervals by a paired bootstrap.

        Raises:
            ConfigurationError: The other one is of other prompts.
        """
        own, others = ([item.prompt_index for item in found.completions] for found in (self, other))
        if (self.split, own) != (other.split, others):
            raise ConfigurationError(
                f"expected two evaluations of the same prompts; got {self.n_prompts} of {self.split!r} and "
                f"{other.n_prompts} of {other.split!r}. Evaluate both with the same split, n_prompts and seed."
            )
        found = differences(other.of_episodes, self.of_episodes, self.seed)
        return {name: found[name] for name in self.metrics if name in found}

    def to_dict(self, examples: int = 0) -> dict[str, Any]:
        """As JSON values, with the first few completions."""
        return {
            "split": self.split,
            "seed": self.seed,
            "n_prompts": self.n_prompts,
            "metrics": {name: estimate.to_dict() for name, estimate in self.metrics.items()},
            **({"entities": {name: row.to_dict() for name, row in self.entities.items()}} if self.entities else {}),
            "examples": [item.to_dict() for item in self.completions[:examples]],
        }


def evaluate(
    policy: BasePolicy,
    env_id: str = "TextGen-v0",
    env_kwargs: dict[str, Any] | None = None,
    *,
    split: str = "test",
    n_prompts: int = 256,
    seed: int = 0,
    deterministic: bool = False,
    reference: LMActorCriticPolicy | None = None,
    batch_size: int = 128,
    wrapper_class: Callable[..., VectorEnv] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> Evaluation:
    """Sample one completion for each of some held-out prompts and measure them.

    Args:
        policy: The policy: any of this package, or another of SB3 that the environment suits.
        env_id: A registered environment.
        env_kwargs: Its arguments, without ``split``.
        split: Which prompts.
        n_prompts: How many, drawn without replacement; all where there are fewer.
        seed: Chooses prompts and seeds sampling; training's random numbers are not touched.
        deterministic: Greedy completions.
        reference: What the divergence is measured from; None for the policy's own pretrained model.
        batch_size: Prompts side by side.
        wrapper_class: What the policy's environment is wrapped in, as for :func:`~agents.make_lm_vec_env`.
        wrapper_kwargs: Keyword arguments of ``wrapper_class``.

    Raises:
        ConfigurationError: ``n_prompts`` is below 1, or the environment has other observations or actions than the
            policy's.
    """
    indices = choose_prompts(env_kwargs, split, n_prompts, seed, env_id)
    completions = complete(
        policy,
        env_id,
        env_kwargs,
        indices=indices.tolist(),
        split=split,
        seed=seed,
        deterministic=deterministic,
        batch_size=batch_size,
        wrapper_class=wrapper_class,
        wrapper_kwargs=wrapper_kwargs,
    )
    kl = None
    if isinstance(policy, LMActorCriticPolicy) and policy.actions_are != "choices":
        kl = divergences(policy, reference or reference_policy(policy), completions)
    return measure(completions, env_id, env_kwargs, split=split, seed=seed, kl=kl)


def evaluate_agent(
    agent: TextAgent | Speaker,
    env_id: str = "Dialogue-v0",
    env_kwargs: dict[str, Any] | None = None,
    *,
    split: str = "test",
    n_prompts: int = 256,
    seed: int = 0,
    batch_size: int = 16,
) -> Evaluation:
    """Measure an agent that speaks text on the episodes on which :func:`evaluate` measures policies.

    Args:
        agent: ``agent(messages) -> str``, plain or ``async``: what it says next. The messages are those of
            :class:`~lm_envs.wrappers.TextInterface`.
        env_id: A registered environment whose actions are tokens.
        env_kwargs: Its arguments, without ``split``.
        split: Which prompts or scenarios.
        n_prompts: How many, drawn without replacement; all where there are fewer.
        seed: Chooses them, and seeds the environment.
        batch_size: Episodes at the same time, for an ``async`` agent.

    Returns:
        What :func:`evaluate` returns, without ``"kl"``: the agent's probabilities are not known.

    Raises:
        AgentError: The agent failed.
        ConfigurationError: ``n_prompts`` or ``batch_size`` is below 1, or the environment's actions are no tokens.
    """
    indices = choose_prompts(env_kwargs, split, n_prompts, seed, env_id).tolist()
    episodes = converse(agent, env_id, env_kwargs, indices=indices, split=split, seed=seed, batch_size=batch_size)
    return measure(episodes, env_id, env_kwargs, split=split, seed=seed)


def reference_policy(policy: LMActorCriticPolicy) -> LMActorCriticPolicy:
    """The pretrained model that a policy started from, as a policy: same temperature, frozen weights shared."""
    own = LMActorCriticPolicy._get_constructor_parameters(policy)  # not those of a subclass: the model masks nothing
    arguments = {**own, "trainable": "heads", "value": "shared", "peft_config": None}
    with seeded(0):  # its heads are initialised at random, which training must not notice
        return LMActorCriticPolicy(**arguments).to(policy.device)


def divergences(
    policy: LMActorCriticPolicy, reference: LMActorCriticPolicy, completions: Sequence[Completion]
) -> np.ndarray:
    """Sampled divergence of each completion ``(n,)`` float64, in nats: the estimator k1 summed over its tokens."""
    if policy is reference:
        return np.zeros(len(completions))
    pairs = zip(log_probs(policy, completions), log_probs(reference, completions), strict=True)
    return np.array([float((own - other).sum(dtype=np.float64)) for own, other in pairs])


def distinct_2(texts: Sequence[str]) -> float:
    """Different pairs of neighbouring words / all such pairs, of all texts together; 0 where there is no pair."""
    from lm_envs.rewards.words import ngrams_of, words_of

    pairs = [pair for text in texts for pair in ngrams_of(words_of(text), 2)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def measure(
    completions: list[Completion],
    env_id: str = "TextGen-v0",
    env_kwargs: dict[str, Any] | None = None,
    *,
    split: str = "test",
    seed: int = 0,
    kl: np.ndarray | None = None,
) -> Evaluation:
    """Measure episodes that there are already.

    Args:
        completions: The episodes, at least one.
        env_id: Their environment.
        env_kwargs: Its arguments.
        split: What they are of.
        seed: Seed of the resampling.
        kl: Each one's divergence from the pretrained model ``(n,)``, where it is known.
    """
    of_episodes = _metrics(completions, kl, _has_grammar(env_id, env_kwargs))
    metrics = estimates(of_episodes, seed)
    if is_written(completions):
        metrics["distinct_2"] = Estimate(distinct_2([item.completion for item in completions]))
    last = [name for name in ("distinct_2", "kl", "length", "turns") if name in metrics]
    metrics = {name: metrics[name] for name in [*(name for name in metrics if name not in last), *last]}
    entities = entity_report(completions, seed) if is_tagging(completions) else {}
    return Evaluation(split, seed, metrics, completions, entities, of_episodes)


def _metrics(completions: Sequence[Completion], kl: np.ndarray | None, has_grammar: bool) -> dict[str, CorpusMetric]:
    """All metrics that resampling makes sense for."""
    columns: dict[str, Any] = {"reward": [item.reward for item in completions]}
    names = list(dict.fromkeys(name for item in completions for name in item.reward_terms))
    for name in names if len(names) > 1 else []:
        columns[f"reward/{name}"] = [item.reward_terms.get(name, 0.0) for item in completions]
    if completions[0].is_success is not None:
        columns["success"] = [float(bool(item.is_success)) for item in completions]
    if has_grammar:
        columns["grammar"] = _grammar(completions)
    if kl is not None:
        columns["kl"] = kl
    if is_written(completions):
        columns["length"] = [item.n_new_tokens for item in completions]
    if completions[0].n_turns is not None:
        columns["turns"] = [item.n_turns or 0 for item in completions]
    return {**{name: mean_of(values) for name, values in columns.items()}, **field_metrics(completions)}


def _has_grammar(env_id: str, env_kwargs: dict[str, Any] | None) -> bool:
    kwargs = env_kwargs or {}
    task = kwargs.get("task") or (DEFAULT_TASKS.get(env_id) if kwargs.get("dataset") is None else None)
    return task in SMALL_WORLD_TASKS


def _grammar(completions: Sequence[Completion]) -> list[float]:
    from lm_envs.rewards import get

    check = get("grammar")
    prompts = [item.prompt for item in completions]
    values: Any = check(prompts=prompts, completions=[item.completion for item in completions])
    return [float(value) for value in values]
