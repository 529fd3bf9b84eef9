"""DQN with SB3's callbacks and TensorBoard: `python examples/dqn_tensorboard.py [steps]`; `tensorboard --logdir runs`.

Every callback of Stable-Baselines3 works: here one evaluates greedy play on held-out prompts and keeps the best model,
one saves checkpoints together with the replay buffer, and one of our own logs what the agent writes.
"""

import sys

from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback

from agents import LMQPolicy, SequenceReplayBuffer, make_lm_vec_env
from lm_envs.wrappers import CandidateActions


class LogText(BaseCallback):
    """Writes the last finished text of a rollout to TensorBoard, and how many words it has to the log."""

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "completion" in info:
                self.text = info["prompt"] + info["completion"]
                self.logger.record_mean("rollout/n_words", len(info["completion"].split()))
        return True

    def _on_training_end(self) -> None:
        print("last text:", self.text)


def make_env(split: str, n_envs: int):
    """The environment for training, or for evaluation on another split."""
    return make_lm_vec_env(
        "TextGen-v0",
        n_envs=n_envs,
        seed=0,
        env_kwargs={"task": "reviews", "split": split, "shaping": split == "train"},
        wrapper_class=CandidateActions,
        wrapper_kwargs={"k": 8, "sample": "lm"},
    )


def main(steps: int) -> None:
    """Train with three callbacks."""
    model = DQN(
        LMQPolicy,
        make_env("train", 32),
        learning_rate=1e-3,
        buffer_size=200_000,
        learning_starts=1_000,
        batch_size=512,
        train_freq=8,
        gradient_steps=4,
        gamma=0.9,
        target_update_interval=1_000,
        replay_buffer_class=SequenceReplayBuffer,
        replay_buffer_kwargs={"prioritized": True, "gamma": 0.9},
        policy_kwargs={"model": "tiny", "trainable": "heads"},
        tensorboard_log="runs",
        seed=0,
    )
    every = max(steps // 4 // 32, 1)
    callbacks = [
        EvalCallback(make_env("validation", 16), n_eval_episodes=32, eval_freq=every, best_model_save_path="runs/best"),
        CheckpointCallback(save_freq=every, save_path="runs/checkpoints", save_replay_buffer=True),
        LogText(),
    ]
    model.learn(steps, callback=callbacks, tb_log_name="dqn")


if __name__ == "__main__":
    main(steps=int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
