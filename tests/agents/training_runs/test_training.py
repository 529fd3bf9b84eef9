from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch as th
from sb3_contrib import TRPO, MaskablePPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.callbacks.reference_kl import ReferenceKLCallback
from agents.recipes.train_config import TrainConfig
from agents.training_runs.building import load_model
from agents.training_runs.checkpoints import checkpoints, read_state
from agents.training_runs.folder import RunFolder
from agents.training_runs.logs import STEP_COLUMN, read_columns, read_csv, read_json_lines
from agents.training_runs.training import resume, train
from lm_envs.errors import CheckpointError, ConfigurationError, LMEnvsError

SmallConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "finished"


@pytest.fixture
def run(small_config: SmallConfig, finished: Path) -> RunFolder:
    """One finished run, shared: not to be changed."""
    return RunFolder(finished) if finished.exists() else train(small_config(), finished)


def test_a_run_leaves_everything(run: RunFolder, small_config: SmallConfig) -> None:
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "checkpoints",
        "config.json",
        "evaluation.json",
        "hf",
        "learning_curve.png",
        "model.zip",
        "progress.csv",
        "samples.jsonl",
        "tensorboard",
    }
    assert run.open() == small_config()
    assert run.curve.read_bytes().startswith(b"\x89PNG")
    assert list(run.tensorboard.glob("events.out.tfevents.*"))
    assert [read_state(path)["num_timesteps"] for path in checkpoints(run.checkpoints)] == [128, 64]


def test_the_logs_say_what_happened(run: RunFolder) -> None:
    rows = read_csv(run.progress)
    assert rows and float(rows[-1][STEP_COLUMN]) == 128
    assert {"rollout/ep_rew_mean", "kl/episode", "kl/coef", "train/loss"} <= set(rows[-1])
    samples = read_json_lines(run.samples)
    assert sorted({row["step"] for row in samples})[0] == 0 and samples[-1]["step"] == 128
    assert {"prompt", "completion", "reward_terms", "reward"} <= set(samples[0])
    at_start = [row["prompt"] for row in samples if row["step"] == 0]
    assert at_start == [row["prompt"] for row in samples if row["step"] == 128]


def test_the_evaluation_compares_the_same_prompts(run: RunFolder) -> None:
    results = json.loads(run.evaluation.read_text())
    before, after = results["before"], results["after"]
    assert (before["step"], after["step"]) == (0, 128)
    assert [e["prompt"] for e in before["examples"]] == [e["prompt"] for e in after["examples"]]
    assert before["metrics"]["kl"]["mean"] == pytest.approx(0, abs=1e-4)
    assert after["metrics"]["kl"]["mean"] != pytest.approx(0, abs=1e-4)
    assert set(after["metrics"]) == {"reward", "distinct_2", "kl", "length"}


def test_the_models_that_are_left_load(run: RunFolder) -> None:
    from transformers import AutoModelForCausalLM

    model = PPO.load(run.model)
    exported = AutoModelForCausalLM.from_pretrained(run.hf)
    weights = dict(exported.named_parameters())
    for name, trained in model.policy.actor.own_parameters():
        th.testing.assert_close(weights[name.removeprefix("lm.")].detach(), trained.detach())


def test_the_same_seed_gives_the_same_weights_and_measuring_changes_nothing(
    tmp_path: Path, small_config: SmallConfig, run: RunFolder
) -> None:
    other = train(small_config(eval_prompts=3, checkpoint_every=32), tmp_path / "other")
    ours, theirs = PPO.load(run.model).get_parameters()["policy"], PPO.load(other.model).get_parameters()["policy"]
    for name, value in ours.items():
        assert th.equal(value, theirs[name]), name


@pytest.mark.parametrize(("algorithm", "kind"), [("a2c", A2C), ("trpo", TRPO), ("maskable_ppo", MaskablePPO)])
def test_other_algorithms_train_too(
    tmp_path: Path, small_config: SmallConfig, algorithm: str, kind: type[BaseAlgorithm]
) -> None:
    folder = train(small_config(algorithm=algorithm, steps=64), tmp_path / "run")
    assert kind.load(folder.model).num_timesteps == 64
    assert read_columns(folder.progress, STEP_COLUMN, "kl/episode")


def test_a_policy_that_is_no_language_model_has_no_divergence(tmp_path: Path, small_config: SmallConfig) -> None:
    hidden = [{"lm_envs.wrappers.HiddenStateObservation": {}}]
    settings = {"policy": "MlpPolicy", "env_wrapper": hidden, "steps": 64}
    folder = train(small_config(**settings, kl_coef=0.0), tmp_path / "run")
    results = folder.read_evaluation()
    assert "kl" in results["before"]["metrics"] and "kl" not in results["after"]["metrics"]
    with pytest.raises(ConfigurationError, match=r"kl_coef=0.1 needs a policy that is a language model"):
        train(small_config(**settings, kl_coef=0.1), tmp_path / "other")


def test_validation_is_logged_at_its_own_steps(tmp_path: Path, small_config: SmallConfig) -> None:
    folder = train(small_config(eval_every=64), tmp_path / "run")
    rows = read_columns(folder.progress, STEP_COLUMN, "eval/reward", "eval/distinct_2", "eval/kl")
    assert [row[0] for row in rows] == [0, 64, 128]


def test_a_finished_run_goes_on_with_more_steps(tmp_path: Path, small_config: SmallConfig) -> None:
    train(small_config(steps=64), tmp_path / "run")
    folder = resume(tmp_path / "run", steps=128)
    assert folder.open().steps == 128
    assert PPO.load(folder.model).num_timesteps == 128
    steps = [step for step, _ in read_columns(folder.progress, STEP_COLUMN, "kl/coef")]
    assert steps == sorted(steps) and steps[-1] == 128
    assert folder.read_evaluation()["after"]["step"] == 128


def test_a_finished_run_says_that_nothing_is_left(tmp_path: Path, small_config: SmallConfig) -> None:
    folder = train(small_config(steps=64), tmp_path / "run")
    config = folder.config.read_text()
    with pytest.raises(ConfigurationError, match=r"has done 64 steps already, .* new total, with these; got 32"):
        resume(folder.path, steps=32)
    assert folder.config.read_text() == config
    stages: list[str] = []
    resume(folder.path, steps=64, on_stage=stages.append)
    assert "nothing left to train: 64 of 64 steps are done" in stages
    assert PPO.load(folder.model).num_timesteps == 64


def test_training_goes_on_after_a_failure_as_the_checkpoint_says(tmp_path: Path, small_config: SmallConfig) -> None:
    class Crash(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps > 96:
                raise RuntimeError("power cut")
            return True

    with pytest.raises(RuntimeError, match="power cut"):
        train(small_config(steps=192), tmp_path / "run", callbacks=[Crash()])
    folder = RunFolder(tmp_path / "run")
    state = read_state(checkpoints(folder.checkpoints)[0])
    assert state["num_timesteps"] == 64

    class Look(BaseCallback):
        def _on_training_start(self) -> None:
            (kl,) = [one for one in self.locals["callback"].callbacks if isinstance(one, ReferenceKLCallback)]
            self.seen = (self.model.num_timesteps, kl.coef)

        def _on_step(self) -> bool:
            return True

    look = Look()
    resume(tmp_path / "run", callbacks=[look])
    assert look.seen == (64, state["kl_coef"])
    assert PPO.load(folder.model).num_timesteps == 192


def test_early_stopping_keeps_the_best(tmp_path: Path, small_config: SmallConfig) -> None:
    config = small_config(steps=100_000, early_stopping=1, hyperparameters={"learning_rate": 0.0})
    config = config.from_dict({**config.to_dict(), "checkpoint_every": 10**9, "steps": 1_000})
    folder = train(config, tmp_path / "run")  # nothing is learned, so the second validation is no better
    assert PPO.load(folder.model).num_timesteps < 1_000
    assert (folder.checkpoints / "best.zip").exists()
    assert read_columns(folder.progress, "eval/reward", "eval/best_reward")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hyperparameters": {"learnin_rate": 1}}, "Did you mean 'learning_rate'"),
        ({"hyperparameters": {"batch_size": 1}}, "ppo refuses its hyperparameters"),
        ({"hyperparameters": {"learning_rate": "fast"}}, "lin_NUMBER"),
        ({"trainable": "top:9"}, "the model has 2 layers"),
        ({"kl_coef": 7.0}, "coef_range"),
        ({"device": "abacus"}, "no such device: 'abacus'"),
        ({"reward": "bleu"}, "unknown column 'reference'"),
    ],
)
def test_a_mistake_shows_before_anything_is_written(
    tmp_path: Path, small_config: SmallConfig, settings: dict, message: str
) -> None:
    with pytest.raises(LMEnvsError, match=message):
        train(small_config(**settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path, small_config: SmallConfig) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already.*choose another folder"):
        train(small_config(), tmp_path)
    with pytest.raises(CheckpointError, match="no readable config.json"):
        resume(tmp_path)
    with pytest.raises(CheckpointError, match="there is no run folder"):
        resume(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_configuration_is_reported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"steps": ')
    with pytest.raises(CheckpointError, match=r"config\.json' is damaged"):
        RunFolder(tmp_path).open()
    (tmp_path / "config.json").write_text('{"warp": 9}')
    with pytest.raises(CheckpointError, match=r"settings that this version does not know: warp"):
        RunFolder(tmp_path).open()


def test_a_checkpoint_loads_with_new_environments(run: RunFolder) -> None:
    model = load_model(run.open(), checkpoints(run.checkpoints)[0])
    assert model.num_timesteps == 128 and model.n_envs == 4


SCRIPT = """
import json, sys
from agents.recipes.train_config import TrainConfig
from agents.training_runs.training import train
train(TrainConfig.from_dict(json.loads(sys.argv[1])), sys.argv[2])
"""


def test_a_killed_run_resumes(tmp_path: Path, small_config: SmallConfig) -> None:
    config = small_config(steps=100_000, checkpoint_every=256)
    folder = RunFolder(tmp_path / "run")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(config.to_dict()), str(folder.path)], env=environment
    )
    try:
        deadline = time.monotonic() + 120
        while newest_step(folder) < 2_400:  # the first row of the log comes at 2,048
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    newest = checkpoints(folder.checkpoints)[0]
    reached = read_state(newest)["num_timesteps"]
    newest.write_bytes(newest.read_bytes()[:100])  # and the disk lost its last write
    previous = read_state(checkpoints(folder.checkpoints)[1])["num_timesteps"]
    assert 0 < previous < reached
    total = reached + 64
    resumed = resume(folder.path, steps=total)
    assert PPO.load(resumed.model).num_timesteps >= total
    steps = [step for (step,) in read_columns(resumed.progress, STEP_COLUMN)]
    assert steps == sorted(set(steps)) and steps[0] <= previous and steps[-1] >= total
    assert not list(folder.path.glob(".*")) and not list(folder.checkpoints.glob(".*"))
    assert {row["step"] for row in read_json_lines(resumed.samples)} >= {0}


def newest_step(folder: RunFolder) -> int:
    """The step of the newest checkpoint; 0 while there is none, or another takes its place."""
    try:
        return max((read_state(path)["num_timesteps"] for path in checkpoints(folder.checkpoints)), default=0)
    except CheckpointError:
        return 0
