"""PPO with two processes: `torchrun --nproc-per-node=2 examples/ppo_data_parallel.py [steps of each process]`.

Started with plain `python` it is one process, and the same script.
"""

import sys

from stable_baselines3 import PPO
from torch.distributed import is_torchelastic_launched

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, data_parallel, make_lm_vec_env

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 25_000
env = make_lm_vec_env("TextGen-v0", n_envs=32, env_kwargs={"task": "reviews"})
model = PPO(LMActorCriticPolicy, env, n_steps=32, batch_size=512, n_epochs=1, gamma=1.0, learning_rate=1e-3, seed=0,
            rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": "tiny"}, verbose=1)  # fmt: skip
if is_torchelastic_launched():  # then 2 x 32 environments, and 2 x 512 transitions in a gradient step
    model = data_parallel(model)
model.learn(steps, callback=ReferenceKLCallback(coef=0.05, target=7.0))
model.save("ppo_data_parallel.zip")
