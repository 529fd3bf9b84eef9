"""DQN on your own multiple-choice questions, a contextual bandit: `python examples/dqn_choices.py [steps]`."""

import sys

from stable_baselines3 import DQN

from agents import LMQPolicy, SequenceReplayBuffer, make_lm_vec_env
from agents.evaluation import evaluate

ANIMALS, VEHICLES = ("cat", "dog", "horse", "rabbit", "goat", "duck"), ("bus", "train", "car", "bicycle", "boat")
ROWS = [
    {"question": f"{name} {verb} the {word}.", "choices": ["animal", "vehicle"], "answer": kind}
    for name in ("Anna", "Tom", "Maria", "Paul", "Nina", "Leo")
    for verb in ("saw", "found", "likes", "bought")
    for kind, words in (("animal", ANIMALS), ("vehicle", VEHICLES))
    for word in words
]
QUESTIONS = {"dataset": ROWS, "actions": "choice"}

model = DQN(
    LMQPolicy,
    make_lm_vec_env("QA-v0", n_envs=32, seed=0, env_kwargs=QUESTIONS),
    learning_rate=1e-3,
    learning_starts=500,
    batch_size=64,
    train_freq=1,
    gradient_steps=2,
    gamma=0.0,
    target_update_interval=500,
    exploration_fraction=0.3,
    replay_buffer_class=SequenceReplayBuffer,
    policy_kwargs={"model": "tiny", "trainable": "heads"},
    seed=0,
)
before = evaluate(model.policy, "QA-v0", QUESTIONS, deterministic=True)
model.learn(int(sys.argv[1]) if len(sys.argv) > 1 else 8_000)
after = evaluate(model.policy, "QA-v0", QUESTIONS, deterministic=True)
for name, value in after.metrics.items():
    print(f"{name:12} {before.metrics[name].mean:6.3f} -> {value.mean:6.3f}")
