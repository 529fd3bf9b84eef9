"""The systems of the PPO comparison, but for the one of TRL; each does one :class:`~benchmarks.workload.Workload`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from agents import GRPORolloutBuffer, LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer
from benchmarks.stopwatch import Stopwatch
from benchmarks.textbook_policy import TextbookKLCallback, TextbookLMPolicy
from benchmarks.workload import Workload
from lm_envs.models import load_language_model

LEARNING_RATE = 1e-5
GROUP = 8  # episodes on one prompt, where the algorithm needs groups


class Outcome(NamedTuple):
    """What a system has measured.

    Attributes:
        iterations: Seconds by phase of each iteration that counts.
        tokens: Tokens, that is transitions, in each of them.
        note: What was measured on a part of the work only; empty otherwise.
        shares: Shares of the rollout's time, by name, where they were measured.
    """

    iterations: list[dict[str, float]]
    tokens: int
    note: str
    shares: Mapping[str, float] = MappingProxyType({})


def run_project(
    workload: Workload, venv: VecEnv | None = None, prepare: Callable[[PPO], PPO] = lambda ppo: ppo
) -> Outcome:
    """Stock PPO with this project's policy, buffer and KL callback.

    Args:
        workload: What it does.
        venv: The environment; None for the workload's.
        prepare: Called with the algorithm before it learns; returns it.
    """
    return _run(workload, workload.make_venv() if venv is None else venv, SequenceRolloutBuffer, prepare)


def run_grpo(workload: Workload) -> Outcome:
    """Stock PPO made GRPO by its rollout buffer: groups of eight episodes on one prompt."""
    return _run(
        workload, workload.make_venv(group_size=GROUP), GRPORolloutBuffer, normalize_advantage=False, vf_coef=0.0
    )


def _run(
    workload: Workload,
    venv: VecEnv,
    buffer: type[RolloutBuffer],
    prepare: Callable[[PPO], PPO] = lambda ppo: ppo,
    **arguments: Any,
) -> Outcome:
    kl = None if workload.kl_coef is None else ReferenceKLCallback(workload.kl_coef)
    ppo = PPO(
        LMActorCriticPolicy,
        venv,
        n_steps=workload.new_tokens,
        batch_size=workload.minibatch * workload.new_tokens,
        rollout_buffer_class=buffer,
        **arguments,
        **_ppo_arguments(workload),
    )
    watch = _learn(prepare(ppo), kl, workload.warmup + workload.iterations, workload.clock)
    return Outcome(watch.iterations[workload.warmup :], workload.tokens, "")


def run_textbook(workload: Workload) -> Outcome:
    """Stock PPO with the textbook policy, SB3's own buffer and a KL callback of the same kind.

    Its cost is a sum over transitions that do not depend on each other, and runs into hours. So long episodes are
    measured on every k-th transition, from the first to the last, with all environments: the mean cost of a
    transition is that of all of them.
    """
    stride = textbook_stride(workload)
    transitions = workload.tokens // stride
    wanted = workload.minibatch * workload.new_tokens
    longest = workload.prompt_tokens + workload.new_tokens
    batch = largest_divisor(transitions, min(wanted, max(1, workload.textbook_tokens // longest)))
    kl = None if workload.kl_coef is None else TextbookKLCallback(workload.kl_coef)
    ppo = PPO(
        TextbookLMPolicy,
        SkipTokens(workload.make_venv(), stride, workload.seed),
        n_steps=workload.new_tokens // stride,
        batch_size=batch,
        **_ppo_arguments(workload),
    )
    watch = _learn(ppo, kl, 1, workload.clock)
    notes = [f"measured on one transition in {stride}"] if stride > 1 else []
    notes += [f"minibatches of {batch} transitions instead of {wanted}"] if batch < wanted else []
    return Outcome(watch.iterations, transitions, "; ".join(notes))


def run_generate(workload: Workload) -> Outcome:
    """The bound: ``model.generate``, then one teacher-forced pass forward and backward, as for a given loss."""
    th.manual_seed(workload.seed)
    shared: Any = load_language_model(workload.model, workload.device, workload.dtype)
    reference = None if workload.kl_coef is None else shared
    model = copy.deepcopy(shared).requires_grad_(True)
    optimizer = th.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    prompts = th.as_tensor(workload.prompts(), device=workload.device)
    watch = Stopwatch(workload.device, workload.clock)
    for _ in range(workload.warmup + workload.iterations):
        watch.start_iteration()
        sequences = _generate(model, prompts, workload.new_tokens)
        watch.lap("rollout")
        batches = sequences.split(workload.minibatch)
        if reference is not None:
            with th.no_grad():
                scores = [completion_log_probs(reference, batch, workload.new_tokens) for batch in batches]
            del scores
        watch.lap("scoring")
        for batch in batches:
            optimizer.zero_grad()
            (-completion_log_probs(model, batch, workload.new_tokens).mean()).backward()
            optimizer.step()
        watch.lap("update")
    return Outcome(watch.iterations[workload.warmup :], workload.tokens, "")


SYSTEMS: dict[str, Callable[[Workload], Outcome]] = {
    "project": run_project,
    "grpo": run_grpo,
    "textbook": run_textbook,
    "generate": run_generate,
}


def completion_log_probs(model: Any, sequences: th.Tensor, new_tokens: int) -> th.Tensor:
    """Log-probabilities ``(n, new_tokens)`` of the last tokens of ``sequences`` ``(n, n_tokens)``."""
    logits = model(input_ids=sequences, use_cache=False, logits_to_keep=new_tokens + 1).logits[:, :-1]
    actions = sequences[:, -new_tokens:, None]
    return logits.float().log_softmax(dim=-1).gather(2, actions).squeeze(2)


@th.no_grad()
def _generate(model: Any, prompts: th.Tensor, new_tokens: int) -> th.Tensor:
    """Sampled sequences ``(n, prompt_tokens + new_tokens)``, prompts included."""
    return model.generate(
        input_ids=prompts,
        attention_mask=th.ones_like(prompts),
        do_sample=True,
        top_k=0,
        max_new_tokens=new_tokens,
        pad_token_id=0,
    )


class SkipTokens(VecEnvWrapper):
    """Appends random tokens between an agent's steps, so that it sees every ``stride``-th prefix of an episode.

    Args:
        venv: The environments.
        stride: Tokens appended in a step, the agent's included.
        seed: Seed of the random tokens.
    """

    def __init__(self, venv: Any, stride: int, seed: int) -> None:
        super().__init__(venv)
        self.stride = stride
        self._rng = np.random.default_rng(seed)

    def reset(self) -> Any:
        """Reset the environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the agent's step and append the other tokens."""
        result = self.venv.step_wait()
        for _ in range(self.stride - 1):
            result = self.venv.step(self._rng.integers(self.action_space.n, size=self.num_envs))  # type: ignore[attr-defined]
        return result


def textbook_stride(workload: Workload) -> int:
    """Smallest divisor of ``new_tokens`` that brings the transitions down to ``textbook_transitions``."""
    divisors = [k for k in range(1, workload.new_tokens + 1) if workload.new_tokens % k == 0]
    fitting = [k for k in divisors if workload.tokens // k <= workload.textbook_transitions]
    return fitting[0] if fitting else divisors[-1]


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of ``number`` that is at most ``limit``."""
    return next(k for k in range(min(number, limit), 0, -1) if number % k == 0)


class Lap(BaseCallback):
    """Books the time up to a rollout's end on a phase; one that ``leads`` also starts iterations and ends updates."""

    def __init__(self, watch: Stopwatch, phase: str, leads: bool) -> None:
        super().__init__()
        self.watch, self.phase, self.leads = watch, phase, leads

    def _on_rollout_start(self) -> None:
        if self.leads:
            self._end_update()
            self.watch.start_iteration()

    def _on_rollout_end(self) -> None:
        self.watch.lap(self.phase)

    def _on_training_end(self) -> None:
        if self.leads:
            self._end_update()

    def _end_update(self) -> None:
        if self.watch.iterations:
            self.watch.lap("update")

    def _on_step(self) -> bool:
        return True


def _learn(
    ppo: PPO, kl: BaseCallback | None, iterations: int, clock: Callable[[], float] = time.perf_counter
) -> Stopwatch:
    watch = Stopwatch(str(ppo.device), clock)
    scoring = [] if kl is None else [kl]
    callback = CallbackList([Lap(watch, "rollout", leads=True), *scoring, Lap(watch, "scoring", leads=False)])
    ppo.learn(iterations * ppo.n_steps * ppo.n_envs, callback=callback)
    return watch


def _ppo_arguments(workload: Workload) -> dict[str, Any]:
    return {
        "n_epochs": 1,
        "gamma": 1.0,
        "learning_rate": LEARNING_RATE,
        "policy_kwargs": {"model": workload.model, "dtype": workload.dtype},
        "device": workload.device,
        "seed": workload.seed,
    }
