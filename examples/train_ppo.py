"""Train a language model with stock PPO: `python examples/train_ppo.py [steps]`."""

import sys

from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
env = make_lm_vec_env("TextGen-v0", n_envs=64, env_kwargs={"task": "reviews"}, seed=0)
model = PPO(LMActorCriticPolicy, env, n_steps=32, batch_size=1024, n_epochs=1, gamma=1.0, learning_rate=1e-3, seed=0,
            rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": "tiny"}, verbose=1)  # fmt: skip
model.learn(steps, callback=ReferenceKLCallback(coef=0.05, target=7.0))
model.save("ppo_reviews.zip")
