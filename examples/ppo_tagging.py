"""PPO labels the words of sentences, on a frozen model's hidden states: `python examples/ppo_tagging.py [steps]`.

Give it a file in the CoNLL format and a BERT by ``env_kwargs={"dataset": "train.conll"}`` and ``{"model": "minilm"}``.
"""

import sys

from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.evaluation import evaluate

model = PPO(
    LMActorCriticPolicy,
    make_lm_vec_env("Tagging-v0", n_envs=64, seed=0),
    learning_rate=lambda progress: 1e-2 * progress,
    n_steps=32,
    batch_size=512,
    n_epochs=2,
    gamma=1.0,
    rollout_buffer_class=SequenceRolloutBuffer,
    policy_kwargs={"model": "tiny", "trainable": "heads"},
    seed=0,
)
model.learn(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
found = evaluate(model.policy, "Tagging-v0", deterministic=True)
for name, value in found.metrics.items():
    print(f"{name:18} {value.mean:6.3f} [{value.low:.3f}, {value.high:.3f}]")
