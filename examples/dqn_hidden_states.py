"""Stock DQN, MlpPolicy, on a language model's hidden states: `python examples/dqn_hidden_states.py [steps]`."""

import sys

from stable_baselines3 import DQN

from agents import make_lm_vec_env
from lm_envs.wrappers import CandidateActions, HiddenStateObservation

env = make_lm_vec_env(
    "TextGen-v0", n_envs=16, env_kwargs={"task": "reviews", "shaping": True},
    wrapper_class=lambda envs: HiddenStateObservation(CandidateActions(envs, k=16, sample="lm"), normalize=True),
)  # fmt: skip
model = DQN("MlpPolicy", env, learning_starts=500, gamma=0.9, target_update_interval=1000, verbose=1)
model.learn(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
model.save("dqn_hidden_states.zip")
