"""What people already do with Stable-Baselines3 works here as it is."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback, StopTrainingOnRewardThreshold
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack, VecNormalize

from agents import LMActorCriticPolicy, ReferenceKLCallback, SequenceRolloutBuffer, make_lm_vec_env
from lm_envs.errors import ConfigurationError


def length_reward(prompts, completions, **columns):
    return [len(text) / 10 for text in completions]


@pytest.fixture
def env_kwargs(lm_folder):
    return {
        "model": lm_folder, "dataset": ["the good", "a bad was", "is"] * 5, "max_prompt_tokens": 8, "max_new_tokens": 4,
        "reward": length_reward,
    }  # fmt: skip


def make_model(venv, folder, **kwargs):
    return PPO(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=16, n_epochs=1, gamma=1.0, seed=0, device="cpu",
        rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": folder}, **kwargs,
    )  # fmt: skip


def test_callbacks_logs_and_progress_bar(lm_folder, env_kwargs, tmp_path):
    venv, eval_venv = (make_lm_vec_env("TextGen-v0", n_envs=4, seed=seed, env_kwargs=env_kwargs) for seed in (0, 9))
    evaluation = EvalCallback(
        eval_venv, n_eval_episodes=6, eval_freq=8, best_model_save_path=str(tmp_path / "best"), verbose=0,
        callback_on_new_best=StopTrainingOnRewardThreshold(1e9, verbose=0),
    )  # fmt: skip
    model = make_model(venv, lm_folder, tensorboard_log=str(tmp_path / "tb"))
    checkpoints = CheckpointCallback(8, str(tmp_path / "checkpoints"))
    model.learn(96, callback=[evaluation, checkpoints, ReferenceKLCallback()], progress_bar=True)
    assert np.isfinite(evaluation.last_mean_reward)
    assert (tmp_path / "best" / "best_model.zip").exists()
    assert len(list((tmp_path / "checkpoints").glob("*.zip"))) == 3
    assert list((tmp_path / "tb").rglob("events*"))
    mean, _ = evaluate_policy(model, eval_venv, n_eval_episodes=10, deterministic=False)
    assert 0 <= mean <= 2


@pytest.mark.parametrize("vec_env_cls", [None, pytest.param(SubprocVecEnv, marks=pytest.mark.slow)])
def test_sb3s_own_vec_envs(lm_folder, env_kwargs, vec_env_cls):
    venv = make_vec_env("TextGen-v0", n_envs=2, seed=0, env_kwargs=env_kwargs, vec_env_cls=vec_env_cls)
    model = make_model(venv, lm_folder).learn(32, callback=ReferenceKLCallback())
    assert model.num_timesteps == 32 and model.rollout_buffer.full
    venv.close()


def test_rewards_can_be_normalised(lm_folder, env_kwargs):
    venv = make_lm_vec_env("TextGen-v0", n_envs=4, seed=0, env_kwargs=env_kwargs)
    model = make_model(VecNormalize(venv, norm_obs=False, gamma=1.0), lm_folder).learn(64)
    assert model.num_timesteps == 64


def test_stacked_observations_are_refused(lm_folder, env_kwargs):
    venv = VecFrameStack(make_lm_vec_env("TextGen-v0", n_envs=2, env_kwargs=env_kwargs), 2)
    with pytest.raises(ConfigurationError, match="VecFrameStack"):
        make_model(venv, lm_folder).learn(16)


WRONG_OBSERVATIONS = {
    "no mask": (lambda obs: {"input_ids": obs["input_ids"]}, "input_ids and attention_mask, got input_ids"),
    "padded on the left": (
        lambda obs: {key: value[:, ::-1].copy() for key, value in obs.items()},
        "padded on the right",
    ),
    "nothing": (lambda obs: {**obs, "attention_mask": obs["attention_mask"] * 0}, "at least one"),
    "another tokenizer": (lambda obs: {**obs, "input_ids": obs["input_ids"] + 60}, "policy's model knows 64"),
}


@pytest.mark.parametrize("name", WRONG_OBSERVATIONS)
def test_predictions_for_other_observations_are_refused(lm_folder, env_kwargs, name):
    change, message = WRONG_OBSERVATIONS[name]
    venv = make_lm_vec_env("TextGen-v0", n_envs=2, env_kwargs=env_kwargs)
    model = make_model(venv, lm_folder)
    model.predict(venv.reset())
    with pytest.raises(ConfigurationError, match=message):
        model.predict(change(venv.reset()))
