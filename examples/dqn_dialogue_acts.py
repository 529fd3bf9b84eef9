"""Stock DQN picks dialogue acts by a model's hidden states: `python examples/dqn_dialogue_acts.py [steps]`."""

import sys

from stable_baselines3 import DQN

from agents import make_lm_vec_env
from agents.evaluation import evaluate
from lm_envs.wrappers import HiddenStateObservation

ACTS, HIDDEN = {"actions": "acts"}, {"normalize": True}

env = make_lm_vec_env(
    "Dialogue-v0", n_envs=16, seed=0, env_kwargs=ACTS, wrapper_class=HiddenStateObservation, wrapper_kwargs=HIDDEN
)
model = DQN(
    "MlpPolicy",
    env,
    learning_rate=lambda progress: 1e-3 * progress,
    learning_starts=1_000,
    batch_size=128,
    train_freq=1,
    gradient_steps=4,
    target_update_interval=500,
    exploration_fraction=0.3,
    policy_kwargs={"net_arch": [256, 256]},
    seed=0,
)
model.learn(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
found = evaluate(
    model.policy, "Dialogue-v0", ACTS, deterministic=True, wrapper_class=HiddenStateObservation, wrapper_kwargs=HIDDEN
)
for name, value in found.metrics.items():
    print(f"{name:24} {value.mean:6.3f}")
