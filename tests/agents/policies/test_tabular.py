"""On a task small enough to solve by hand, DQN finds the optimal policy and the true values."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from stable_baselines3 import DQN

from agents import LMQPolicy, SequenceReplayBuffer, make_lm_vec_env
from lm_envs.wrappers import CandidateActions

K, LENGTH, GAMMA = 3, 3, 0.9


def table_reward(prompts, completions, completion_ids, **columns):
    """A number between 0 and 1 for each sequence of tokens, the same in every process."""
    return [float(np.random.default_rng([7, *ids]).random()) for ids in completion_ids]


def env_kwargs(folder):
    return {"model": folder, "dataset": ["the good"], "reward": table_reward, "max_new_tokens": LENGTH}


def optimal_values(folder):
    """Optimal Q-values of every state, by trying all action sequences; a state is the actions that led to it."""
    env = CandidateActions(gym.make("TextGen-v0", **env_kwargs(folder)), k=K)

    def outcome(actions):
        obs, _ = env.reset()
        reward, ended = 0.0, False
        for action in actions:
            obs, reward, ended, _, _ = env.step(action)
        return obs, float(reward), ended

    def solve(state, found):
        obs, _, _ = outcome(state)
        values = np.zeros(K)
        for action in range(K):
            _, reward, ended = outcome((*state, action))
            values[action] = reward if ended else reward + GAMMA * solve((*state, action), found).max()
        found[state] = (obs, values)
        return values

    solve((), found := {})
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy_kwargs", "buffer_kwargs"),
    [
        ({"trainable": "heads"}, {}),
        ({"trainable": "all", "double_q": True}, {}),
        ({"trainable": "heads", "dueling": True}, {"prioritized": True, "gamma": GAMMA}),
    ],
    ids=["heads", "double, all trained", "dueling, prioritised"],
)
def test_dqn_learns_the_true_values(lm_folder, policy_kwargs, buffer_kwargs):
    expected = optimal_values(lm_folder)
    venv = make_lm_vec_env(
        "TextGen-v0", 16, 0, env_kwargs(lm_folder), wrapper_class=CandidateActions, wrapper_kwargs={"k": K}
    )
    model = DQN(
        LMQPolicy,
        venv,
        learning_rate=lambda left: 3e-3 * left,
        buffer_size=4_000,
        learning_starts=300,
        batch_size=128,
        gamma=GAMMA,
        train_freq=4,
        gradient_steps=16,
        target_update_interval=64,
        exploration_initial_eps=1.0,
        exploration_final_eps=1.0,  # every sequence is seen; Q-learning does not mind
        replay_buffer_class=SequenceReplayBuffer,
        replay_buffer_kwargs=buffer_kwargs,
        policy_kwargs={"model": lm_folder, "log_prob_scale": 0.5, **policy_kwargs},
        seed=0,
        device="cpu",
    )
    model.learn(6_000)
    keys = list(expected)
    obs = {key: np.stack([expected[state][0][key] for state in keys]) for key in expected[()][0]}
    learned = model.policy.action_values({key: th.as_tensor(value) for key, value in obs.items()}).numpy()
    optimal = np.stack([expected[state][1] for state in keys])
    assert np.abs(learned - optimal).max() < 0.05 * optimal.max()
    chosen, best = learned.argmax(axis=1), optimal.max(axis=1)
    assert optimal[np.arange(len(keys)), chosen] == pytest.approx(best, abs=1e-6)
