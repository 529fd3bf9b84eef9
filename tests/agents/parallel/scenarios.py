"""What two ranks do in the tests; ``torchrun scenarios.py MODEL FOLDER`` leaves ``FOLDER/rank_R.pt``."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch as th
from sb3_contrib import QRDQN, MaskablePPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback

import agents
from agents.parallel.gradients import GradientAverage
from agents.parallel.minibatches import MinibatchesInStep
from agents.parallel.ranks import Ranks
from lm_envs.errors import ConfigurationError, DistributedError

N_ENVS, N_STEPS = 4, 8
RANK = int(os.environ.get("RANK", 0))


def parallel(model):
    return agents.data_parallel(model, timeout=60.0)  # ranks that lose step end the tests, and do not wait on


def good_words(completions, **_):
    return [text.count("o") / 4 for text in completions]


def environment(model, n_envs=N_ENVS):
    env_kwargs = {"model": model, "dataset": ["the", "is a", "was", "bad", "good a"], "reward": good_words,
                  "max_prompt_tokens": 4, "max_new_tokens": 3}  # fmt: skip
    return agents.make_lm_vec_env("TextGen-v0", n_envs, seed=0, env_kwargs=env_kwargs)


class CountedPolicy(agents.LMActorCriticPolicy):
    """Draws with a generator for each environment of all ranks and each step, whatever else is in the batch."""

    first_env = 0
    step = 0

    def _choose(self, hidden, columns, deterministic):
        log_probs = self._logits(hidden, columns).log_softmax(dim=1)
        draws = [np.random.default_rng((self.first_env + row, self.step)).random() for row in range(len(log_probs))]
        actions = (log_probs.exp().cumsum(dim=1) < th.tensor(draws, dtype=th.float32)[:, None]).sum(dim=1)
        actions = actions.clamp(max=log_probs.shape[1] - 1)
        self.step += 1
        return actions, log_probs.gather(1, actions[:, None]).squeeze(1)


def ppo(model, n_envs=N_ENVS, policy=agents.LMActorCriticPolicy, **changes):
    settings = {"rollout_buffer_class": agents.SequenceRolloutBuffer, "batch_size": n_envs * N_STEPS, "n_epochs": 3,
                "gamma": 1.0, "learning_rate": 1e-2, "seed": 0}  # fmt: skip
    return PPO(
        policy, environment(model, n_envs), n_steps=N_STEPS, device="cpu",
        policy_kwargs={"model": model}, **{**settings, **changes},
    )  # fmt: skip


def counted_ppo(model, n_envs=N_ENVS):
    """With one minibatch of everything: the same numbers in one process as in two, half of the environments each."""
    return ppo(model, n_envs, CountedPolicy, normalize_advantage=False, max_grad_norm=0.05)


def counted_a2c(model, n_envs=N_ENVS):
    return A2C(
        CountedPolicy, environment(model, n_envs), n_steps=N_STEPS, device="cpu", seed=0, learning_rate=1e-3,
        rollout_buffer_class=agents.SequenceRolloutBuffer, policy_kwargs={"model": model},
    )  # fmt: skip


def learned(learner, callback=None, iterations=5, **options):
    learner.learn(iterations * N_STEPS * learner.n_envs, callback=callback, **options)
    return {name: value.clone() for name, value in learner.policy.state_dict().items()}


def same_rollouts(model):
    found = {}
    CountedPolicy.first_env = RANK * N_ENVS
    for name, make in (("ppo", counted_ppo), ("a2c", counted_a2c)):
        learner = parallel(make(model))
        found[name] = learned(learner, agents.ReferenceKLCallback(0.1))
        found[f"{name} prompts"] = learner.env.reset()["input_ids"]
    return found


def many_minibatches(model):
    learner, counts = parallel(ppo(model, batch_size=3, n_epochs=2)), []
    yielded, buffer = learner.rollout_buffer.get, learner.rollout_buffer

    def counted(batch_size):
        minibatches = list(yielded(batch_size))
        counts.append(len(minibatches))
        return iter(minibatches)

    buffer.get = counted
    kl = agents.ReferenceKLCallback(0.1, target=1.0, horizon=50)
    return {"parameters": learned(learner, kl), "counts": counts, "coef": kl.coef, "kl": kl.episode_kl}


def nlpo(model):
    group_relative = {"rollout_buffer_class": agents.GRPORolloutBuffer, "normalize_advantage": False, "vf_coef": 0.0}
    learner = parallel(ppo(model, policy=agents.LMNLPOPolicy, **group_relative))
    return {"parameters": learned(learner, agents.NLPOMaskCallback(update_every=2))}


def maskable(model):
    learner = parallel(MaskablePPO(
        agents.LMMaskableActorCriticPolicy, environment(model), n_steps=N_STEPS, batch_size=8, n_epochs=2,
        learning_rate=1e-2, device="cpu", seed=0, target_kl=0.1, policy_kwargs={"model": model},
        rollout_buffer_class=agents.MaskableSequenceRolloutBuffer,
    ))  # fmt: skip
    return {"parameters": learned(learner, use_masking=False)}


def off_policy(model, algorithm, **policy_kwargs):
    learner = parallel(algorithm(
        agents.LMQPolicy, environment(model), learning_rate=1e-2, learning_starts=16, train_freq=2, gradient_steps=2,
        batch_size=8, buffer_size=1000, target_update_interval=16, device="cpu", seed=0,
        replay_buffer_class=agents.SequenceReplayBuffer,
        policy_kwargs={"model": model, "trainable": "all", **policy_kwargs},
    ))  # fmt: skip
    return {"parameters": learned(learner), "updates": learner._n_updates}


def early_stop(model):
    learner = parallel(ppo(model, batch_size=8, n_epochs=8, target_kl=0.02, learning_rate=1e-3))
    measured, mean = [], learner._parallel.mean_of_minibatch

    def kept_mean(value):
        measured.append((value, mean(value)))
        return measured[-1][1]

    learner._parallel.mean_of_minibatch = kept_mean
    parameters = learned(learner)
    updates, target_kl = learner._n_updates, learner.target_kl
    return {"parameters": parameters, "updates": updates, "target_kl": target_kl, "measured": measured}


class StopAt(BaseCallback):
    """Stops one rank in the middle of its third rollout."""

    def _on_step(self):
        return not (RANK == 1 and self.num_timesteps >= 2 * N_STEPS * N_ENVS + 3 * N_ENVS)


def callback_stops(model):
    learner = parallel(ppo(model))
    parameters = learned(learner, [StopAt()])
    return {"parameters": parameters, "steps": learner.num_timesteps}


def stop_on_kl(model):
    learner, limit = parallel(ppo(model)), agents.StopOnKL(1e-3)
    parameters = learned(learner, [agents.ReferenceKLCallback(0.0), limit])
    return {"parameters": parameters, "steps": learner.num_timesteps, "reason": limit.reason}


def saving(model, folder):
    learner = parallel(ppo(model, verbose=1, target_kl=0.5, tensorboard_log=str(folder / f"log_{RANK}")))
    checkpoints = CheckpointCallback(N_STEPS, str(folder / f"checkpoints_{RANK}"))
    learner.learn(2 * N_STEPS * N_ENVS, callback=checkpoints)
    learner.save(folder / "by_both.zip")
    both = PPO.load(folder / "by_both.zip", device="cpu")
    learner.save(folder / f"saved_{RANK}.zip")
    return {"target_kl": type(both.target_kl).__name__, "same": type(both) is PPO}


def refused(model):
    try:
        parallel(ppo(model, n_epochs=2 + RANK))
    except ConfigurationError as error:
        return str(error)


class Minibatch:
    def __init__(self, inputs):
        self.inputs = self.advantages = th.tensor(inputs)


class Rows:
    """A buffer of one minibatch on rank 0, two on rank 1."""

    def get(self, batch_size):
        return iter([[Minibatch([1.0, 2.0, 3.0])], [Minibatch([4.0]), Minibatch([5.0, 7.0])]][RANK])


def gradients():
    weight, tied, frozen, on_one, on_none = (th.nn.Parameter(th.ones(1)) for _ in range(5))
    frozen.requires_grad_(False)
    ranks = Ranks(th.device("cpu"), 60)
    parts = GradientAverage([weight, tied, tied, frozen, on_one, on_none], ranks)
    found = []
    for minibatch in MinibatchesInStep(Rows(), parts)(3):
        for parameter in (weight, tied, on_one):
            parameter.grad = None
        loss = (minibatch.inputs * weight).mean() + (tied * tied).sum() + frozen.sum()
        (loss + on_one.sum() if RANK else loss).backward()
        found.append([None if part.grad is None else part.grad.item() for part in (weight, tied, on_one, on_none)])
    return found


def silence(model, folder):
    """Rank 1 does not answer, and goes on to live."""
    if RANK == 1:
        while not (folder / "waited").exists():
            time.sleep(0.05)
        return None
    try:
        Ranks.check_same(quiet_ranks, {"n_envs": 4})
    except DistributedError as error:
        return str(error)
    finally:
        (folder / "waited").touch()


class Breaks(BaseCallback):
    """Fails on one rank in the middle of its third rollout."""

    def _on_step(self):
        if RANK == 1 and self.num_timesteps >= 2 * N_STEPS * N_ENVS + 3 * N_ENVS:
            raise ValueError("no more paper")
        return True


if __name__ == "__main__":
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message=".*truncated mini-batch.*")
    logging.basicConfig(level=logging.WARNING)
    th.set_num_threads(1)
    model_folder, out = sys.argv[1], Path(sys.argv[2])
    result = {
        "same rollouts": same_rollouts(model_folder),
        "many minibatches": many_minibatches(model_folder),
        "nlpo": nlpo(model_folder),
        "maskable": maskable(model_folder),
        "dqn": off_policy(model_folder, DQN),
        "qrdqn": off_policy(model_folder, QRDQN, n_quantiles=3),
        "early stop": early_stop(model_folder),
        "callback": callback_stops(model_folder),
        "kl limit": stop_on_kl(model_folder),
        "saving": saving(model_folder, out),
        "refused": refused(model_folder),
        "gradients": gradients(),
    }
    quiet_ranks = Ranks(th.device("cpu"), 1.0)
    result["silence"] = silence(model_folder, out)
    th.save(result, out / f"rank_{RANK}.pt")
    parallel(ppo(model_folder)).learn(10**9, callback=Breaks())  # the run ends here, with an error
