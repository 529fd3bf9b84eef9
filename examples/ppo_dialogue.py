"""PPO on the tokens of a help-desk assistant's turns: `python examples/ppo_dialogue.py [steps]`."""

import sys

from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from agents.evaluation import evaluate


def main(steps: int, n_goals: int = 256) -> None:
    """Train, and print before and after how many users with goals that training never saw got what they wanted."""
    env = make_lm_vec_env("Dialogue-v0", n_envs=64, seed=0)
    model = PPO(
        LMActorCriticPolicy,
        env,
        learning_rate=lambda progress: 1e-3 * progress,
        n_steps=64,
        batch_size=1024,
        n_epochs=1,
        gamma=1.0,
        gae_lambda=1.0,
        rollout_buffer_class=SequenceRolloutBuffer,
        policy_kwargs={"model": "tiny", "value_gradient": False},
        seed=0,
    )
    before = evaluate(model.policy, "Dialogue-v0", n_prompts=n_goals)
    model.learn(steps, callback=ReferenceKLCallback(coef=0.02, target=6.0))
    after = evaluate(model.policy, "Dialogue-v0", n_prompts=n_goals)
    for name, value in after.metrics.items():
        print(f"{name:24} {before.metrics[name].mean:6.3f} -> {value.mean:6.3f}")
    for message in after.completions[0].messages:
        print(f"{message['role']:10} {message['content']}")


if __name__ == "__main__":
    main(steps=int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
