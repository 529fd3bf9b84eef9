"""Write your own reward: `python examples/custom_reward.py [steps]`.

A reward is a function of prompts and completions that returns one number for each completion. It is called once for
all episodes that ended together, so it may also ask a batched model or a web service.
"""

import re
import sys

from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from agents.evaluation import evaluate
from lm_envs import rewards


@rewards.register("exclaims")
def exclaims(prompts: list[str], completions: list[str], **columns: list) -> list[float]:
    """The share of a completion's sentences that end in an exclamation mark."""
    ends = [re.findall("[.!?]", completion) for completion in completions]
    return [found.count("!") / len(found) if found else 0.0 for found in ends]


def main(steps: int, n_prompts: int = 64) -> None:
    """Train for exclamation marks, and a little for variety, and print how the two went."""
    env_kwargs = {"task": "reviews", "reward": {"exclaims": 1.0, "repetition": 0.2}}
    env = make_lm_vec_env("TextGen-v0", n_envs=32, env_kwargs=env_kwargs, seed=0)
    model = PPO(
        LMActorCriticPolicy,
        env,
        n_steps=32,
        batch_size=256,
        n_epochs=2,
        gamma=1.0,
        vf_coef=0.1,
        seed=0,
        rollout_buffer_class=SequenceRolloutBuffer,
        policy_kwargs={"model": "tiny"},
    )
    before = evaluate(model.policy, env_kwargs=env_kwargs, n_prompts=n_prompts)
    model.learn(steps, callback=ReferenceKLCallback(coef=0.05, target=10.0))
    after = evaluate(model.policy, env_kwargs=env_kwargs, n_prompts=n_prompts)
    for name in ("reward/exclaims", "reward/repetition", "kl"):
        print(f"{name:18} {before.metrics[name].mean:6.3f} -> {after.metrics[name].mean:6.3f}")
    print(after.completions[0].prompt + after.completions[0].completion)


if __name__ == "__main__":
    main(steps=int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
