"""Complete chosen prompts with a policy, many at once, and score what it wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th

import lm_envs  # noqa: F401 - registers the environments
from agents.policies import LMActorCriticPolicy
from agents.sequences import PackedSequences
from lm_envs.errors import ConfigurationError

SCORING_TOKENS = 16_384  # tokens, padding included, that a model scores in one pass


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
        token_ids: Tokens of prompt and completion, ``(n_tokens,)`` int32.
    """

    prompt: str
    completion: str
    reward_terms: dict[str, float]
    stop_reason: str
    n_new_tokens: int
    prompt_index: int
    is_success: bool | None = None
    token_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32), repr=False, compare=False)

    @property
    def reward(self) -> float:
        """The episode's return."""
        return float(sum(self.reward_terms.values()))

    def to_dict(self) -> dict[str, Any]:
        """What is worth writing into a file: everything but the token ids."""
        success = {} if self.is_success is None else {"is_success": self.is_success}
        return {
            "prompt": self.prompt,
            "completion": self.completion,
            "reward": self.reward,
            "reward_terms": self.reward_terms,
            "stop_reason": self.stop_reason,
            "n_new_tokens": self.n_new_tokens,
            "prompt_index": self.prompt_index,
            **success,
        }


def complete(
    policy: LMActorCriticPolicy,
    env_id: str = "TextGen-v0",
    env_kwargs: dict[str, Any] | None = None,
    *,
    indices: Sequence[int],
    split: str = "test",
    seed: int = 0,
    deterministic: bool = False,
    temperature: float | None = None,
    batch_size: int = 128,
) -> list[Completion]:
    """Let the policy complete chosen prompts of a split.

    Nothing random outside is touched: the global generators are as before, and a rollout under way keeps its slots.

    Args:
        policy: The policy.
        env_id: A registered environment.
        env_kwargs: Its arguments, without ``split``.
        indices: Which prompts of the split, in which order; one may occur several times.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        seed: Seed of the sampling; the same seed, prompts and batch size give the same completions.
        deterministic: Take the most probable token every time.
        temperature: Sample at this temperature instead of the policy's.
        batch_size: Prompts side by side.

    Returns:
        One completion for each of ``indices``, in their order.

    Raises:
        ConfigurationError: No such prompt, or a temperature that is not positive.
    """
    kwargs = {**(env_kwargs or {}), "split": split}
    found: list[Completion] = []
    with seeded(seed), at_temperature(policy, temperature):
        for start in range(0, len(indices), batch_size):
            chosen = np.asarray(indices[start : start + batch_size], dtype=np.int64)
            envs = gym.make_vec(env_id, num_envs=len(chosen), vectorization_mode="vector_entry_point", **kwargs)
            try:
                found += _run_once(policy, envs, chosen, seed, deterministic)
            finally:
                envs.close()
    return found


def _run_once(
    policy: LMActorCriticPolicy, envs: Any, indices: np.ndarray, seed: int, deterministic: bool
) -> list[Completion]:
    """One episode in each row; rows that are done early write on, unseen, until the last one is."""
    obs, _ = envs.reset(seed=seed, options={"indices": indices})
    found: dict[int, Completion] = {}
    while len(found) < len(indices):
        actions, _ = policy.predict(obs, deterministic=deterministic)
        obs, _, terminated, truncated, infos = envs.step(actions)
        for row in np.flatnonzero(terminated | truncated).tolist():
            if row not in found:
                found[row] = _completion(infos, row)
    return [found[row] for row in range(len(indices))]


def _completion(infos: dict[str, Any], row: int) -> Completion:
    """The row's finished episode, out of a vector environment's infos: arrays by key, with masks."""
    final, last_obs = infos["final_info"], infos["final_obs"][row]
    present = {key: values for key, values in final.items() if f"_{key}" in final and final[f"_{key}"][row]}
    terms = present["reward_terms"]
    return Completion(
        prompt=present["prompt"][row],
        completion=present["completion"][row],
        reward_terms={name: float(values[row]) for name, values in terms.items() if f"_{name}" in terms},
        stop_reason=present["stop_reason"][row],
        n_new_tokens=int(present["n_new_tokens"][row]),
        prompt_index=int(present["prompt_index"][row]),
        is_success=bool(present["is_success"][row]) if "is_success" in present else None,
        token_ids=last_obs["input_ids"][: int(last_obs["attention_mask"].sum())].copy(),
    )


@th.no_grad()
def log_probs(policy: LMActorCriticPolicy, completions: Sequence[Completion]) -> list[np.ndarray]:
    """Log-probabilities of the generated tokens under a policy, in one teacher-forced pass for each few sequences.

    Args:
        policy: The policy, at its own temperature.
        completions: Episodes with their token ids, written by this policy or another.

    Returns:
        For each completion ``(n_new_tokens,)`` float32, in nats.
    """
    lengths = np.array([len(item.token_ids) for item in completions])
    order = np.argsort(-lengths, kind="stable")
    result: list[np.ndarray] = [np.zeros(0, np.float32)] * len(completions)
    rows_per_pass = max(1, SCORING_TOKENS // max(1, int(lengths.max(initial=1))))
    for start in range(0, len(order), rows_per_pass):
        chosen = order[start : start + rows_per_pass]
        packed, actions = _pack([completions[i] for i in chosen], policy.device)
        scores = policy.evaluate_actions(packed, actions)[1].cpu().numpy()
        counts = [completions[i].n_new_tokens for i in chosen]
        for i, part in zip(chosen, np.split(scores, np.cumsum(counts)[:-1]), strict=True):
            result[i] = part
    return result


def _pack(completions: Sequence[Completion], device: th.device) -> tuple[PackedSequences, th.Tensor]:
    """The sequences, longest first, with one transition for each generated token, and these tokens."""
    lengths = np.array([len(item.token_ids) for item in completions])
    ids = np.zeros((len(completions), lengths[0]), dtype=np.int32)
    for row, item in enumerate(completions):
        ids[row, : lengths[row]] = item.token_ids
    counts = np.array([item.n_new_tokens for item in completions])
    rows = np.repeat(np.arange(len(completions)), counts)
    ends = np.concatenate([np.arange(length - n, length) for length, n in zip(lengths, counts, strict=True)])
    packed = PackedSequences(
        th.as_tensor(ids, device=device),
        lengths,
        th.as_tensor(rows, device=device),
        th.as_tensor(ends - 1, device=device),
    )
    return packed, th.as_tensor(ids[rows, ends], dtype=th.int64, device=device)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch draw from ``seed`` inside of the block, and go on outside as if nothing had been."""
    devices = range(th.cuda.device_count()) if th.cuda.is_available() else []
    with th.random.fork_rng(devices=devices):
        th.manual_seed(seed)
        yield


@contextlib.contextmanager
def at_temperature(policy: LMActorCriticPolicy, temperature: float | None) -> Iterator[None]:
    """Let the policy sample at another temperature inside of the block.

    Raises:
        ConfigurationError: ``temperature`` is not above 0.
    """
    if temperature is not None and not temperature > 0:
        raise ConfigurationError(f"temperature must be above 0; got {temperature}. For greedy text: deterministic.")
    own = policy.temperature
    policy.temperature = own if temperature is None else temperature
    try:
        yield
    finally:
        policy.temperature = own
