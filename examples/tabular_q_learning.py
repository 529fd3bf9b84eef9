"""Tabular Q-learning (Watkins 1989) of dialogue acts at a help desk: `python examples/tabular_q_learning.py`."""

import argparse
from collections import defaultdict

import gymnasium as gym
import numpy as np

import lm_envs  # noqa: F401 - registers Dialogue-v0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--conversations", type=int, default=9_000)
parser.add_argument("--evaluations", type=int, default=256)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

ALPHA, GAMMA = 0.2, 0.98
rng = np.random.default_rng(args.seed)


def make(split: str) -> gym.Env:
    """The help desk, where an action is a whole turn of the assistant."""
    return gym.make("Dialogue-v0", actions="acts", split=split)


def converse(env: gym.Env, index: int | None, epsilon: float, learn: bool) -> tuple[float, bool]:
    """One conversation; returns its return and whether the user got what it wanted."""
    obs, _ = env.reset(options={} if index is None else {"index": index})
    state, total, terminated = obs["dialogue_state"].tobytes(), 0.0, False
    while not terminated:
        explore = rng.random() < epsilon
        action = int(rng.integers(env.action_space.n)) if explore else int(q[state].argmax())
        obs, reward, terminated, _, info = env.step(action)
        following = obs["dialogue_state"].tobytes()
        if learn:
            target = reward + (0.0 if terminated else GAMMA * q[following].max())
            q[state][action] += ALPHA * (target - q[state][action])
        state, total = following, total + reward
    return total, info["is_success"]


env = make("train")
env.reset(seed=args.seed)
q: dict[bytes, np.ndarray] = defaultdict(lambda: np.zeros(env.action_space.n))
recent = []
for number in range(args.conversations):
    epsilon = max(0.05, 1.0 - 2.0 * number / args.conversations)
    recent.append(converse(env, None, epsilon, learn=True))
    if (number + 1) % max(1, args.conversations // 6) == 0:
        mean_return, success = np.mean(recent, axis=0)
        print(f"{number + 1:6d} conversations: return {mean_return:.2f}, success {success:.2f}, {len(q)} states")
        recent.clear()

env = make("test")
env.reset(seed=args.seed)
held_out = [converse(env, index, 0.0, learn=False) for index in range(args.evaluations)]
mean_return, success = np.mean(held_out, axis=0)
print(f"{args.evaluations} held-out goals: return {mean_return:.3f}, success {success:.3f}")
