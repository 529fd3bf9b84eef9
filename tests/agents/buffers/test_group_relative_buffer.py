"""GRPO and RLOO: advantages by hand, episodes and groups that outlast a rollout, and stock PPO on top."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from agents import (
    GRPORolloutBuffer,
    LMActorCriticPolicy,
    ReferenceKLCallback,
    RLOORolloutBuffer,
    TokenRewardsCallback,
    make_lm_vec_env,
)
from lm_envs.errors import ConfigurationError, UnknownNameError

SPACE = spaces.Dict(input_ids=spaces.Box(0, 63, (12,), np.int32), attention_mask=spaces.Box(0, 1, (12,), np.int8))
BUFFERS = [GRPORolloutBuffer, RLOORolloutBuffer]


class Script:
    """Environments that play what is written: for each a list of episodes ``(prompt, rewards)``.

    An episode's tokens are its prompt, a number, and one more for every step.
    """

    def __init__(self, *rows):
        self.steps = [[(p, t, r, t == len(rs) - 1) for p, rs in row for t, r in enumerate(rs)] for row in rows]
        self.at = 0

    def play(self, buffer):
        """One rollout."""
        buffer.reset()
        n_envs = len(self.steps)
        for _ in range(buffer.buffer_size):
            now = [row[self.at] for row in self.steps]
            ids, mask = np.zeros((n_envs, 12), np.int32), np.zeros((n_envs, 12), np.int8)
            for env, (prompt, t, _, _) in enumerate(now):
                ids[env, : t + 1], mask[env, : t + 1] = [prompt, *range(20, 20 + t)], 1
            rewards, starts = np.array([r for _, _, r, _ in now]), np.array([t == 0 for _, t, _, _ in now])
            values = th.full((n_envs,), 0.25)
            buffer.add({"input_ids": ids, "attention_mask": mask}, np.zeros((n_envs, 1)), rewards, starts, values,
                       th.zeros(n_envs))  # fmt: skip
            self.at += 1
        self.dones = np.array([done for *_, done in now])
        buffer.compute_returns_and_advantage(th.zeros(n_envs), self.dones)
        return buffer.advantages


def make(cls, n_steps, n_envs, **kwargs):
    return cls(n_steps, SPACE, spaces.Discrete(64), device="cpu", n_envs=n_envs, **kwargs)


def three_on_one_prompt_and_two_on_another():
    """Returns 1, 2 and 6 on prompt 5; 0 and 4 on prompt 7."""
    return Script([(5, [0, 1]), (5, [1, 1]), (7, [0, 0])], [(5, [3, 3]), (7, [2, 2]), (9, [0, 8])])


def test_grpo_by_hand():
    buffer = make(GRPORolloutBuffer, 6, 2, eps=1e-9)
    advantages = three_on_one_prompt_and_two_on_another().play(buffer)
    std = np.sqrt((4 + 1 + 9) / 2)  # of 1, 2, 6, whose mean is 3
    first, second = [-2 / std, -1 / std, -np.sqrt(0.5)], [3 / std, np.sqrt(0.5), 0.0]  # nobody else on prompt 9
    assert np.allclose(advantages, np.repeat([first, second], 2, axis=1).T)
    assert np.allclose(buffer.returns, np.repeat([[1, 2, 0], [6, 4, 8]], 2, axis=1).T)
    assert buffer.group_stats["size"] == pytest.approx((3 * 3 + 2 * 2 + 1) / 6)
    assert buffer.group_stats["spread"] == pytest.approx((std + np.sqrt(8)) / 2)
    assert buffer.group_stats["alone"] == pytest.approx(1 / 6) and buffer.group_stats["unfinished"] == 0.0


def test_grpo_without_scale_and_with_that_of_the_batch():
    plain = np.repeat([[-2, -1, -2], [3, 2, 0]], 2, axis=1).T
    assert np.allclose(
        three_on_one_prompt_and_two_on_another().play(make(GRPORolloutBuffer, 6, 2, scale="none")), plain
    )
    batch = three_on_one_prompt_and_two_on_another().play(make(GRPORolloutBuffer, 6, 2, scale="batch", eps=1e-9))
    assert np.allclose(batch, plain / np.std([1, 2, 6, 0, 4, 8], ddof=1))


def test_rloo_by_hand():
    advantages = three_on_one_prompt_and_two_on_another().play(make(RLOORolloutBuffer, 6, 2))
    first, second = [1 - (2 + 6) / 2, 2 - (1 + 6) / 2, 0 - 4], [6 - (1 + 2) / 2, 4 - 0, 0.0]
    assert np.allclose(advantages, np.repeat([first, second], 2, axis=1).T)


def test_equal_returns_teach_nothing():
    script = Script([(5, [1]), (5, [1]), (5, [1])], [(5, [1]), (5, [1]), (5, [1])])
    assert (script.play(make(GRPORolloutBuffer, 3, 2)) == 0).all()


def test_an_unfinished_episode_gets_its_advantage_in_the_next_rollout_with_all_it_has_earned():
    buffer = make(RLOORolloutBuffer, 3, 2)
    script = Script([(5, [1, 0]), (5, [4, 0, 2, 1]), (8, [0])], [(5, [0, 0, 3]), (5, [0, 0, 1]), (8, [0])])
    advantages = script.play(buffer)
    assert advantages[:, 0].tolist() == [-2, -2, 0] and advantages[:, 1].tolist() == [2, 2, 2]
    assert buffer.returns[2, 0] == 0.25  # the critic's value
    assert buffer.group_stats["unfinished"] == pytest.approx(1 / 6)
    advantages = script.play(buffer)
    known = [7, 1, 1, 3]  # the one that went on, one of this rollout, two of the rollout before
    assert np.allclose(advantages[:, 0], 7 - np.mean(known[1:]))
    assert np.allclose(advantages[:, 1], 1 - np.mean([7, 1, 3]))


def test_of_a_group_in_two_rollouts_the_late_ones_are_compared_with_the_early():
    buffer = make(RLOORolloutBuffer, 2, 2)
    script = Script([(5, [0, 1]), (6, [0, 0]), (6, [0, 0])], [(5, [0, 3]), (5, [0, 8]), (6, [0, 2])])
    script.play(buffer)
    assert script.play(buffer)[:, 1].tolist() == [6, 6]  # 8 - (1 + 3) / 2
    # 5 is forgotten; 0 and 2 on prompt 6, beside a 0 of the rollout before
    assert script.play(buffer).tolist() == [[-1, 2], [-1, 2]]


def test_rewards_of_the_rollout_before_are_final_only_when_the_next_begins():
    buffer = make(RLOORolloutBuffer, 2, 2)
    script = Script([(5, [0, 1]), (5, [0, 0])], [(5, [0, 3, 0, 0])])
    script.play(buffer)
    buffer.rewards -= 1  # a penalty on every token
    buffer.compute_returns_and_advantage(th.zeros(2), script.dones)
    assert buffer.advantages.tolist() == [[0, 0], [0, 0]]
    advantages = script.play(buffer)
    assert np.allclose(advantages[:, 0], 0 - (1 + -1) / 2)  # beside 3 - 2 and 1 - 2
    assert np.allclose(advantages[:, 1], 1 - (0 + -1) / 2)


@pytest.mark.parametrize("buffer_class", BUFFERS)
def test_computing_again_changes_nothing(buffer_class):
    buffer, script = make(buffer_class, 3, 2), three_on_one_prompt_and_two_on_another()
    for _ in range(2):
        first = script.play(buffer).copy()
        stats = dict(buffer.group_stats)
        buffer.compute_returns_and_advantage(th.zeros(2), script.dones)
        assert (buffer.advantages == first).all() and buffer.group_stats == stats
        assert (first != 0).any()


def test_an_episode_whose_beginning_nobody_saw_is_left_out():
    script = Script([(5, [9, 9]), (5, [1]), (5, [2])], [(5, [1]), (5, [2]), (5, [3]), (5, [4])])
    script.at = 1
    advantages = script.play(make(GRPORolloutBuffer, 3, 2, scale="none"))
    assert np.allclose(advantages, [[0, -0.4], [-1.4, 0.6], [-0.4, 1.6]])


def test_without_groups_training_stops_with_the_remedy():
    script = Script(*[[(10 * env + k, [0.0]) for k in range(4)] for env in range(3)])
    buffer = make(GRPORolloutBuffer, 2, 3)
    script.play(buffer)  # six episodes: bad luck cannot be excluded yet
    with pytest.raises(ConfigurationError, match=r"got 12 episodes of which 12 .* group_size=8"):
        script.play(buffer)


def test_rows_that_each_repeat_their_prompts_are_groups_too():
    script = Script(*[[(10 * env + k // 2, [0.0]) for k in range(8)] for env in range(3)])
    buffer = make(GRPORolloutBuffer, 4, 3)
    script.play(buffer)
    script.play(buffer)


def test_bad_arguments():
    with pytest.raises(UnknownNameError, match="scale"):
        make(GRPORolloutBuffer, 2, 1, scale="groups")
    with pytest.raises(ConfigurationError, match="eps must be above 0"):
        make(GRPORolloutBuffer, 2, 1, eps=0.0)


def test_another_gamma_is_ignored_aloud(caplog):
    make(RLOORolloutBuffer, 2, 1, gamma=0.875)
    assert "ignores gamma=0.875" in caplog.text


def good_words(completions, **_):
    return [text.split().count("good") / 4 for text in completions]


def length_of_tokens(completions, completion_ids, **_):
    return [[0.1] * len(ids) for ids in completion_ids]


def make_ppo(folder, buffer_class, reward=good_words, n_envs=16, group_size=4, **kwargs):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=n_envs, seed=0,
        env_kwargs={"model": folder, "dataset": ["the", "a bad", "is a", "was the"], "reward": reward,
                    "max_prompt_tokens": 4, "max_new_tokens": 4, "group_size": group_size},
    )  # fmt: skip
    arguments = {
        "n_steps": 16, "batch_size": 128, "n_epochs": 1, "gamma": 1.0, "learning_rate": 1e-2, "vf_coef": 0.0,
        "normalize_advantage": False, "seed": 0, "device": "cpu", **kwargs,
    }  # fmt: skip
    return PPO(
        LMActorCriticPolicy, venv, rollout_buffer_class=buffer_class, policy_kwargs={"model": folder}, **arguments
    )


@pytest.mark.parametrize("buffer_class", BUFFERS)
def test_stock_ppo_learns_without_a_critic(lm_folder, buffer_class):
    model = make_ppo(lm_folder, buffer_class)
    model.learn(256)
    assert np.mean([episode["r"] for episode in model.ep_info_buffer]) < 0.3
    model.learn(5000, reset_num_timesteps=False)
    assert np.mean([episode["r"] for episode in model.ep_info_buffer]) > 0.8


@pytest.mark.parametrize("buffer_class", BUFFERS)
def test_penalties_and_token_rewards_count(lm_folder, buffer_class):
    model = make_ppo(lm_folder, buffer_class, length_of_tokens, gae_lambda=0.5)
    model.learn(1024, callback=[TokenRewardsCallback(), ReferenceKLCallback(0.5)])
    buffer = model.rollout_buffer
    for env in range(16):
        starts = np.flatnonzero(buffer.episode_starts[:, env])
        for start, stop in itertools.pairwise(starts):
            assert np.allclose(buffer.returns[start:stop, env], buffer.rewards[start:stop, env].sum(), atol=1e-5)
            assert len(set(buffer.advantages[start:stop, env])) == 1
    assert not np.allclose(buffer.rewards, 0.1)  # the penalty is in
    assert (buffer.advantages != 0).mean() > 0.5


def test_sb3s_own_vec_env_of_single_environments(lm_folder):
    env_kwargs = {"model": lm_folder, "dataset": ["the", "a bad"], "reward": good_words, "max_prompt_tokens": 4,
                  "max_new_tokens": 2, "group_size": 3}  # fmt: skip
    venv = make_vec_env("TextGen-v0", n_envs=2, seed=0, env_kwargs=env_kwargs)
    model = PPO(LMActorCriticPolicy, venv, n_steps=16, batch_size=16, gamma=1.0, seed=0, device="cpu",
                rollout_buffer_class=GRPORolloutBuffer, policy_kwargs={"model": lm_folder})  # fmt: skip
    model.learn(64)
    assert model.rollout_buffer.group_stats["size"] > 2


def test_without_group_size_training_says_what_is_missing(lm_folder):
    prompts = [f"{first}{second}" for first in "abcdefgh" for second in "abcdefgh"]
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=4, seed=0,
        env_kwargs={"model": lm_folder, "dataset": prompts, "reward": good_words, "max_prompt_tokens": 4,
                    "max_new_tokens": 4},
    )  # fmt: skip
    model = PPO(LMActorCriticPolicy, venv, n_steps=16, batch_size=16, gamma=1.0, seed=0, device="cpu",
                rollout_buffer_class=GRPORolloutBuffer, policy_kwargs={"model": lm_folder})  # fmt: skip
    with pytest.raises(ConfigurationError, match="group_size=8"):
        model.learn(1000)


def test_saved_and_loaded_it_trains_on_with_its_settings(lm_folder, tmp_path):
    model = make_ppo(lm_folder, GRPORolloutBuffer, rollout_buffer_kwargs={"scale": "none"})
    model.learn(256)
    model.save(tmp_path / "model")
    loaded = PPO.load(tmp_path / "model", env=model.env, device="cpu")
    assert type(loaded.rollout_buffer) is GRPORolloutBuffer and loaded.rollout_buffer.scale == "none"
    loaded.learn(256, reset_num_timesteps=False)
    assert loaded.num_timesteps == 512 and loaded.rollout_buffer.group_stats["size"] > 2
