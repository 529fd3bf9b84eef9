"""The best of several completions of each prompt, chosen by a reward: a strong baseline that trains nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.policies import BasePolicy

from agents.evaluation.estimates import Estimate
from agents.evaluation.generation import Completion, complete
from agents.evaluation.metrics import Evaluation, measure
from agents.evaluation.prompts import choose_prompts, load_prompts
from lm_envs.environment_arguments import environment_reward
from lm_envs.errors import ConfigurationError
from lm_envs.rewards.scoring import score_texts


@dataclass(frozen=True)
class BestOfN:
    """What :func:`best_of_n` found.

    Attributes:
        n: Completions of each prompt.
        evaluation: The chosen completions, measured as :func:`agents.evaluation.evaluate` does, with the environment's
            own reward.
        scores: ``(n_prompts, n)`` float64, what all completions scored under the reward that chose.
        n_tokens: Tokens that were generated for all of them.
        kl_bound: An upper bound on the divergence of the chosen texts' distribution from the policy's, in nats an
            episode, see :func:`kl_bound`.
    """

    n: int
    evaluation: Evaluation
    scores: np.ndarray = field(repr=False)
    n_tokens: int
    kl_bound: float

    def to_dict(self, examples: int = 0) -> dict[str, Any]:
        """As JSON values: the evaluation's, and under ``best_of_n`` what it cost."""
        cost = {"n": self.n, "tokens": self.n_tokens, "kl_bound": self.kl_bound}
        return {**self.evaluation.to_dict(examples), "best_of_n": cost}


def kl_bound(n: int) -> float:
    """``log(n) - (n - 1) / n`` nats.

    No best-of-n distribution diverges further from what it was drawn from
    (`Beirami et al. 2024 <https://arxiv.org/abs/2401.01879>`_, theorem 1); it comes close where no text is likely.
    """
    return math.log(n) - (n - 1) / n


def best_of_n(
    policy: BasePolicy,
    env_id: str = "TextGen-v0",
    env_kwargs: dict[str, Any] | None = None,
    n: int = 4,
    *,
    reward: Any = None,
    split: str = "test",
    n_prompts: int = 256,
    seed: int = 0,
    temperature: float | None = None,
    batch_size: int = 128,
    wrapper_class: Callable[..., VectorEnv] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> BestOfN:
    """Sample ``n`` completions of each of some held-out prompts, keep the best of each, and measure those.

    Args:
        policy: The policy that writes.
        env_id: A registered environment.
        env_kwargs: Its arguments, without ``split``; its reward is what the result is measured with.
        n: Completions of each prompt.
        reward: What the best is chosen by, for ``TextGen-v0``: anything that :func:`lm_envs.rewards.make_reward` takes,
            such as the reward model ``"model:FOLDER"``. None for the environment's own.
        split: Which prompts.
        n_prompts: How many; the ones that :func:`agents.evaluation.evaluate` takes with the same seed.
        seed: Chooses prompts and seeds sampling.
        temperature: Sample at this temperature instead of the policy's.
        batch_size: Completions side by side.
        wrapper_class: As for :func:`agents.evaluation.complete`.
        wrapper_kwargs: Its keyword arguments.

    Returns:
        The chosen completions and their evaluation. It has ``"kl"`` nowhere: for the untrained model, see
        :attr:`BestOfN.kl_bound`.

    Raises:
        ConfigurationError: ``n`` is below 1, or a reward is given for an environment whose episodes it cannot score.
        LMEnvsError: The reward, or the environment, cannot be made.
    """
    _check(n, reward, env_id)
    indices = choose_prompts(env_kwargs, split, n_prompts, seed, env_id)
    score = _scorer(reward, env_kwargs or {}, split)
    chosen: list[Completion] = []
    scores: list[np.ndarray] = []
    n_tokens, at_once = 0, max(1, batch_size // n)
    for start in range(0, len(indices), at_once):  # a few prompts at a time: only the best completions are kept
        part = indices[start : start + at_once].repeat(n)
        found = complete(
            policy,
            env_id,
            env_kwargs,
            indices=part.tolist(),
            split=split,
            seed=seed + start * n,
            temperature=temperature,
            batch_size=batch_size,
            wrapper_class=wrapper_class,
            wrapper_kwargs=wrapper_kwargs,
        )
        n_tokens += sum(item.n_new_tokens for item in found)
        scores.append(score(found).reshape(-1, n))
        chosen += [found[row * n + best] for row, best in enumerate(scores[-1].argmax(axis=1))]
    evaluation = measure(chosen, env_id, env_kwargs, split=split, seed=seed)
    return BestOfN(n, evaluation, np.concatenate(scores), n_tokens, kl_bound(n))


def with_bound(found: BestOfN) -> Evaluation:
    """The evaluation with :attr:`BestOfN.kl_bound` as ``"kl"``, for tables beside policies that were trained.

    Only where the policy that wrote is the pretrained model, which is what ``"kl"`` is measured from.
    """
    return dataclasses.replace(
        found.evaluation, metrics={**found.evaluation.metrics, "kl": Estimate(found.kl_bound, None, None)}
    )


def _check(n: int, reward: Any, env_id: str) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ConfigurationError(f"n must be an integer of at least 1; got {n!r}.")
    if reward is not None and env_id != "TextGen-v0":
        raise ConfigurationError(
            f"a reward of prompts and completions chooses among texts of TextGen-v0; got {env_id!r}. Leave it out: the "
            "environment's own reward chooses."
        )


def _scorer(reward: Any, env_kwargs: Mapping[str, Any], split: str) -> Callable[[Sequence[Completion]], np.ndarray]:
    """What gives each completion a score ``(n,)`` float64."""
    if reward is None:
        return lambda found: np.array([item.reward for item in found])
    made = environment_reward(reward, env_kwargs.get("model", "tiny"), env_kwargs.get("device", "cpu"))
    columns = load_prompts(dict(env_kwargs), split).columns
    made.check_columns(columns)

    def score(found: Sequence[Completion]) -> np.ndarray:
        own = {name: [values[item.prompt_index] for item in found] for name, values in columns.items()}
        return score_texts(made, [item.prompt for item in found], [item.completion for item in found], own)

    return score
