"""DQN on text, with a language model as Q-network: `python examples/dqn_candidates.py [steps]`.

A frozen language model proposes 16 next tokens at every step, so that epsilon-greedy explores among plausible ones;
`sample="lm"` explores by their probabilities. Shaping pays the reward as it grows. The reward holds sentiment and
grammar: a value-based agent has no reason to keep what the reward does not name.
"""

import sys

from stable_baselines3 import DQN

from agents import LMQPolicy, SequenceReplayBuffer, make_lm_vec_env
from agents.evaluation import evaluate
from lm_envs.wrappers import CandidateActions

CANDIDATES = {"k": 16, "sample": "lm"}
ENV_KWARGS = {"task": "reviews", "reward": {"sentiment": 1.0, "grammar": 1.0}}


def main(steps: int, n_prompts: int = 64) -> None:
    """Train, and print what greedy play reached on prompts that training never saw."""
    env = make_lm_vec_env(
        "TextGen-v0",
        n_envs=64,
        seed=0,
        env_kwargs={**ENV_KWARGS, "shaping": True},
        wrapper_class=CandidateActions,
        wrapper_kwargs=CANDIDATES,
    )
    model = DQN(
        LMQPolicy,
        env,
        learning_rate=1e-3,
        buffer_size=500_000,  # tokens
        learning_starts=2_000,
        batch_size=512,
        train_freq=8,
        gradient_steps=4,
        gamma=0.9,
        target_update_interval=2_000,
        exploration_fraction=0.3,
        replay_buffer_class=SequenceReplayBuffer,
        policy_kwargs={"model": "tiny", "trainable": "heads", "double_q": True},
        seed=0,
    )
    model.learn(steps)
    found = evaluate(
        model.policy,
        env_kwargs=ENV_KWARGS,
        wrapper_class=CandidateActions,
        wrapper_kwargs=CANDIDATES,
        n_prompts=n_prompts,
        deterministic=True,
    )
    for name, value in found.metrics.items():
        print(f"{name:18} {value.mean:6.3f}")
    buffer = model.replay_buffer
    print(f"{buffer.size()} transitions in a replay buffer of {buffer.nbytes / 2**20:.0f} MiB")
    print(found.completions[0].prompt + found.completions[0].completion)


if __name__ == "__main__":
    main(steps=int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
