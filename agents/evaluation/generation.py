"""Complete chosen prompts with a policy, many at once, and score what it wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium.vector import VectorEnv
from stable_baselines3.common.policies import BasePolicy

import lm_envs  # noqa: F401 - registers the environments
from agents.buffers.observation_columns import rows_at_once
from agents.evaluation.decisions import DecisionLog, Decisions, pack_episodes
from agents.policies.actor_critic import LMActorCriticPolicy
from lm_envs.dialogue.partners.protocol import Message
from lm_envs.errors import ConfigurationError

SCORING_TOKENS = 16_384  # tokens, padding included, that a model scores in one pass
OUTCOME_KEYS = ("answer", "reference", "choices", "answerable", "score", "words", "labels", "gold")


@dataclass(frozen=True)
class Completion:
    """One finished episode.

    Attributes:
        prompt: The prompt's text.
        completion: The generated text.
        reward_terms: The terms of the reward; they sum to ``reward``.
        stop_reason: Why the episode ended.
        n_new_tokens: Number of generated tokens.
        prompt_index: The prompt's place in its split.
        is_success: Whether the task was solved; None where the task does not define it.
        messages: The whole conversation; None in an environment without turns.
        n_turns: How many of them are the agent's.
        outcome: What else the info of its end says that metrics are made of: in ``QA-v0`` ``answer``, ``reference``,
            ``choices``, ``answerable`` and the verifier's ``score``, in ``Tagging-v0`` ``words``, ``labels`` and
            ``gold``, elsewhere ``reference`` where the data have one.
        token_ids: Tokens of the last observation, prompt and completion, ``(n_tokens,)`` int32; none where a wrapper
            hides them.
        decisions: What the policy chose; empty where there are no tokens.
    """

    prompt: str
    completion: str
    reward_terms: dict[str, float]
    stop_reason: str
    n_new_tokens: int
    prompt_index: int
    is_success: bool | None = None
    messages: list[Message] | None = None
    n_turns: int | None = None
    outcome: dict[str, Any] = field(default_factory=dict)
    token_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32), repr=False, compare=False)
    decisions: Decisions = field(default_factory=Decisions, repr=False, compare=False)

    @classmethod
    def of_info(cls, info: Mapping[str, Any], **tokens: Any) -> Completion:
        """The episode that ended with an info; ``tokens`` are ``token_ids`` and ``decisions``, where there are any."""
        return cls(
            prompt=info["prompt"],
            completion=info["completion"],
            reward_terms={name: float(value) for name, value in info["reward_terms"].items()},
            stop_reason=info["stop_reason"],
            n_new_tokens=int(info["n_new_tokens"]),
            prompt_index=int(info["prompt_index"]),
            is_success=bool(info["is_success"]) if "is_success" in info else None,
            messages=list(info["messages"]) if "n_turns" in info else None,
            n_turns=int(info["n_turns"]) if "n_turns" in info else None,
            outcome={key: _plain(info[key]) for key in OUTCOME_KEYS if key in info},
            **tokens,
        )

    @property
    def reward(self) -> float:
        """The episode's return."""
        return float(sum(self.reward_terms.values()))

    def to_dict(self) -> dict[str, Any]:
        """What is worth writing into a file: everything but token ids and decisions."""
        found = {"is_success": self.is_success, "n_turns": self.n_turns, "messages": self.messages}
        return {
            "prompt": self.prompt,
            "completion": self.completion,
            "reward": self.reward,
            "reward_terms": self.reward_terms,
            "stop_reason": self.stop_reason,
            "n_new_tokens": self.n_new_tokens,
            "prompt_index": self.prompt_index,
            **self.outcome,
            **{key: value for key, value in found.items() if value is not None},
        }


def _plain(value: Any) -> Any:
    """A value out of a vector environment's array, as Python has it."""
    return value.item() if isinstance(value, np.generic) else value


def complete(
    policy: BasePolicy,
    env_id: str = "TextGen-v0",
    env_kwargs: dict[str, Any] | None = None,
    *,
    indices: Sequence[int],
    split: str = "test",
    seed: int = 0,
    deterministic: bool = False,
    temperature: float | None = None,
    batch_size: int = 128,
    wrapper_class: Callable[..., VectorEnv] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> list[Completion]:
    """Let the policy complete chosen prompts of a split.

    Nothing random outside is touched: the global generators are as before, and a rollout under way keeps its slots.

    Args:
        policy: The policy: any of this package, or another of SB3 that the environment suits.
        env_id: A registered environment.
        env_kwargs: Its arguments, without ``split``.
        indices: Which prompts of the split, in which order; one may occur several times.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        seed: Seed of the sampling, the same seed, prompts and batch size give the same completions; the environment of
            episode ``i`` is seeded by ``seed + i``, whatever the batch size.
        deterministic: Take the most probable action every time, or the one of the highest value.
        temperature: Sample at this temperature instead of the policy's; for actor-critic policies.
        batch_size: Prompts side by side.
        wrapper_class: What the policy's environment is wrapped in, as for :func:`~agents.make_lm_vec_env`.
        wrapper_kwargs: Keyword arguments of ``wrapper_class``.

    Returns:
        One completion for each of ``indices``, in their order.

    Raises:
        ConfigurationError: No such prompt, a temperature that is not positive or of no use to the policy, or an
            environment with other observations or actions than the policy's.
    """
    kwargs = {**(env_kwargs or {}), "split": split}
    found: list[Completion] = []
    with seeded(seed), at_temperature(policy, temperature):
        for start in range(0, len(indices), batch_size):
            chosen = np.asarray(indices[start : start + batch_size], dtype=np.int64)
            envs = gym.make_vec(env_id, num_envs=len(chosen), vectorization_mode="vector_entry_point", **kwargs)
            if wrapper_class is not None:
                envs = wrapper_class(envs, **(wrapper_kwargs or {}))
            try:
                _check_spaces(policy, envs)
                found += _run_once(policy, envs, chosen, seed + start, deterministic)
            finally:
                envs.close()
    return found


def _check_spaces(policy: BasePolicy, envs: Any) -> None:
    """Raise an error if the policy cannot act here; an ``action_mask`` may be missing where nothing is illegal."""
    keys, known = _keys(envs.single_observation_space), _keys(policy.observation_space)
    if not known - {"action_mask"} <= keys <= known or envs.single_action_space != policy.action_space:
        raise ConfigurationError(
            f"expected the environment that the policy acts in, with observations {sorted(known)} and actions "
            f"{policy.action_space}; got observations {sorted(keys)} and actions {envs.single_action_space}. Pass its "
            "wrapper_class, wrapper_kwargs and env_kwargs."
        )
    length, known_length = _n_tokens(envs.single_observation_space), _n_tokens(policy.observation_space)
    if length != known_length:
        raise ConfigurationError(
            f"expected observations of {known_length} tokens, which the policy was made for; got {length}. Pass "
            "max_prompt_tokens and max_new_tokens that sum to as many."
        )


def _n_tokens(space: gym.Space[Any]) -> int | None:
    """The length of observations that are tokens."""
    has_tokens = isinstance(space, gym.spaces.Dict) and "input_ids" in space.spaces
    shape = space["input_ids"].shape if has_tokens else None  # type: ignore[index]
    return shape[0] if shape else None


def _keys(space: gym.Space[Any]) -> set[str]:
    return set(space.spaces) if isinstance(space, gym.spaces.Dict) else {str(space)}


def _run_once(policy: BasePolicy, envs: Any, indices: np.ndarray, seed: int, deterministic: bool) -> list[Completion]:
    """One episode in each row; rows that are done early write on, unseen, until the last one is."""
    obs, _ = envs.reset(seed=seed, options={"indices": indices})
    found: dict[int, Completion] = {}
    log = DecisionLog(envs.single_observation_space) if "input_ids" in _keys(envs.single_observation_space) else None
    while len(found) < len(indices):
        actions, _ = policy.predict(obs, deterministic=deterministic)
        if log is not None:
            log.add(obs, actions)
        obs, _, terminated, truncated, infos = envs.step(actions)
        for row in np.flatnonzero(terminated | truncated).tolist():
            if row not in found:
                found[row] = _completion(infos, row, log)
    return [found[row] for row in range(len(indices))]


def _completion(infos: dict[str, Any], row: int, log: DecisionLog | None) -> Completion:
    """The row's finished episode, out of a vector environment's infos: arrays by key, with masks."""
    final, last_obs = infos["final_info"], infos["final_obs"][row]
    tokens: dict[str, Any] = {} if log is None else {"token_ids": _tokens(last_obs), "decisions": log.of(row)}
    return Completion.of_info(_row_info(final, row), **tokens)


def _row_info(infos: Mapping[str, Any], row: int) -> dict[str, Any]:
    """What the infos of a vector environment say about one row."""
    present = {key: values for key, values in infos.items() if f"_{key}" in infos and infos[f"_{key}"][row]}
    return {
        key: _row_info(values, row) if isinstance(values, Mapping) else values[row] for key, values in present.items()
    }


def _tokens(obs: dict[str, np.ndarray]) -> np.ndarray:
    return obs["input_ids"][: int(obs["attention_mask"].sum())].copy()


@th.no_grad()
def log_probs(policy: LMActorCriticPolicy, completions: Sequence[Completion]) -> list[np.ndarray]:
    """Log-probabilities of the chosen actions under a policy, in one teacher-forced pass for each few sequences.

    Args:
        policy: The policy, at its own temperature.
        completions: Episodes out of :func:`complete`, by this policy or another with the same actions.

    Returns:
        For each completion one float32 for each action, in nats.
    """
    lengths = np.array([item.decisions.n_tokens for item in completions])
    order = np.argsort(-lengths, kind="stable")
    result: list[np.ndarray] = [np.zeros(0, np.float32)] * len(completions)
    tokens_per_pass = rows_at_once(SCORING_TOKENS, policy.observation_space)
    rows_per_pass = max(1, tokens_per_pass // max(1, int(lengths.max(initial=1))))
    for start in range(0, len(order), rows_per_pass):
        chosen = order[start : start + rows_per_pass]
        decisions = [completions[i].decisions for i in chosen]
        packed, actions = pack_episodes(decisions, policy.device)
        scores = policy.evaluate_actions(packed, actions)[1].cpu().numpy()
        counts = [len(item) for item in decisions]
        for i, part in zip(chosen, np.split(scores, np.cumsum(counts)[:-1]), strict=True):
            result[i] = part
    return result


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch draw from ``seed`` inside of the block, and go on outside as if nothing had been."""
    devices = range(th.cuda.device_count()) if th.cuda.is_available() else []
    with th.random.fork_rng(devices=devices):
        th.manual_seed(seed)
        yield


@contextlib.contextmanager
def at_temperature(policy: BasePolicy, temperature: float | None) -> Iterator[None]:
    """Let the policy sample at another temperature inside of the block.

    Raises:
        ConfigurationError: ``temperature`` is not above 0, or the policy has none.
    """
    if temperature is None:
        yield
        return
    if not isinstance(policy, LMActorCriticPolicy):
        raise ConfigurationError(f"temperature is for actor-critic policies; {type(policy).__name__} has none.")
    if not temperature > 0:
        raise ConfigurationError(f"temperature must be above 0; got {temperature}. For greedy text pass deterministic.")
    own = policy.temperature
    policy.temperature = temperature
    try:
        yield
    finally:
        policy.temperature = own
