"""The two systems of the DQN comparison; each does one :class:`~benchmarks.workload.Workload`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3 import DQN

from agents import LMQPolicy, SequenceReplayBuffer
from benchmarks.stopwatch import Stopwatch
from benchmarks.systems import LEARNING_RATE, Lap, Outcome, SkipTokens
from benchmarks.textbook_q_policy import TextbookLMQPolicy
from benchmarks.workload import Workload


def make_project(workload: Workload) -> DQN:
    """Stock DQN with this project's policy and buffer, all weights trained."""
    return _make_dqn(workload, LMQPolicy, workload.make_venv(), 1, **project_buffer(workload, _transitions(workload)))


def make_textbook(workload: Workload) -> DQN:
    """Stock DQN with the textbook Q-network and SB3's own buffer."""
    venv = SkipTokens(workload.make_venv(), 1, workload.seed)
    return _make_dqn(workload, TextbookLMQPolicy, venv, dqn_stride(workload), buffer_size=_transitions(workload))


def run_project(workload: Workload) -> Outcome:
    """Fill the replay buffer with random episodes, then collect and train."""
    dqn = make_project(workload)
    prefill(dqn, workload)
    watch = _learn(dqn, workload.warmup + workload.iterations)
    return Outcome(watch.iterations[workload.warmup :], workload.tokens, "")


def run_textbook(workload: Workload) -> Outcome:
    """The same, for one iteration and without warm-up, as it takes long.

    Its cost is a sum over transitions that do not depend on each other. So with long episodes fewer gradient steps of
    the same size are measured, and as much collecting: every k-th transition of all episodes. The replay buffer holds
    every transition of the random episodes that the project's holds.
    """
    dqn = make_textbook(workload)
    prefill(dqn, workload)
    stride = dqn_stride(workload)
    dqn.env.stride = stride  # type: ignore[union-attr]
    watch = _learn(dqn, 1)
    note = f"measured on one transition in {stride}" if stride > 1 else ""
    return Outcome(watch.iterations, workload.tokens // stride, note)


SYSTEMS: dict[str, Callable[[Workload], Outcome]] = {"project": run_project, "textbook": run_textbook}


def project_buffer(workload: Workload, n_transitions: int) -> dict[str, Any]:
    """DQN's arguments for a :class:`~agents.SequenceReplayBuffer` of so many transitions, in whole episodes."""
    episodes = -(-n_transitions // workload.new_tokens)
    tokens = episodes * (workload.prompt_tokens + workload.new_tokens)
    return {"replay_buffer_class": SequenceReplayBuffer, "buffer_size": tokens}


def dqn_stride(workload: Workload) -> int:
    """Smallest divisor of ``new_tokens`` that leaves whole batches and at most ``textbook_transitions``."""
    strides = [k for k in range(1, workload.new_tokens + 1) if workload.new_tokens % k == 0]
    whole = [k for k in strides if workload.tokens // k % workload.batch_size == 0]
    fitting = [k for k in whole if workload.tokens // k <= workload.textbook_transitions]
    return fitting[0] if fitting else whole[-1]


def prefill(dqn: DQN, workload: Workload) -> None:
    """Fill the replay buffer with whole episodes of random tokens: the same ones for every system."""
    dqn.learn(workload.prefill * workload.tokens)


def _transitions(workload: Workload) -> int:
    """Transitions that a run collects."""
    return (workload.prefill + workload.warmup + workload.iterations) * workload.tokens


def _make_dqn(workload: Workload, policy: type[Any], venv: Any, stride: int, **buffer: Any) -> DQN:
    """DQN that trains on as many transitions as it collects, and after the prefill takes the best action always."""
    return DQN(
        policy,
        venv,
        learning_starts=workload.prefill * workload.tokens,
        train_freq=(workload.new_tokens // stride, "step"),
        gradient_steps=workload.tokens // stride // workload.batch_size,
        batch_size=workload.batch_size,
        exploration_initial_eps=0.0,
        exploration_final_eps=0.0,
        learning_rate=LEARNING_RATE,
        gamma=1.0,
        policy_kwargs={"model": workload.model, "dtype": workload.dtype},
        device=workload.device,
        seed=workload.seed,
        **buffer,
    )


def _learn(dqn: DQN, iterations: int) -> Stopwatch:
    watch = Stopwatch(str(dqn.device))
    steps = dqn.train_freq.frequency  # type: ignore[union-attr]
    dqn.learn(iterations * steps * dqn.n_envs, callback=Lap(watch, "rollout", leads=True), reset_num_timesteps=False)
    return watch
