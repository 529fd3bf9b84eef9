from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import lm_envs  # noqa: F401 - registers the environments
from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from lm_envs.errors import ConfigurationError, ModelError, UnknownNameError
from lm_envs.models import load_reward_model
from lm_envs.rewards import RewardModel, make_reward

PROMPTS = ["was it 1?", "was it good or bad or was it the one?", "a?", "was it 4?", ""]
COMPLETIONS = [" good good", " bad", " the good a is was the bad good good", None, ""]


@pytest.mark.parametrize("kind", ["causal_reward_model", "encoder_reward_model", "ensemble"])
def test_a_batch_scores_like_single_texts(kind: str, request: pytest.FixtureRequest) -> None:
    reward = RewardModel(str(request.getfixturevalue(kind)))
    one_by_one = [reward([p], [c])[0] for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert len(set(one_by_one)) == len(PROMPTS)
    for batch_size in (1, 2, 32):
        scores = RewardModel(reward.model, batch_size=batch_size)(PROMPTS, COMPLETIONS)
        assert scores == pytest.approx(one_by_one, abs=1e-4)
    assert reward([], []) == []


def test_an_ensemble_pays_mean_minus_deviation(ensemble: Path) -> None:
    members = [RewardModel(str(ensemble / f"member-{i}"))(PROMPTS, COMPLETIONS) for i in range(2)]
    mean, std = np.mean(members, axis=0), np.std(members, axis=0)
    assert std.min() > 1e-3
    assert RewardModel(str(ensemble))(PROMPTS, COMPLETIONS) == pytest.approx(mean - std, abs=1e-5)
    free = make_reward(f"model:{ensemble},std_weight=0")
    assert free(PROMPTS, COMPLETIONS).total == pytest.approx(mean, abs=1e-5)


def test_a_model_from_elsewhere_pays_its_score(tmp_path: Path, lm_folder: str) -> None:
    AutoModelForSequenceClassification.from_pretrained(lm_folder, num_labels=1).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(lm_folder).save_pretrained(tmp_path)
    assert RewardModel(str(tmp_path))(PROMPTS, COMPLETIONS) == RewardModel(str(tmp_path), False)(PROMPTS, COMPLETIONS)


def test_pickles_without_weights_and_loads_once(causal_reward_model: Path) -> None:
    reward = RewardModel(str(causal_reward_model))
    before = reward(PROMPTS, COMPLETIONS)
    data = pickle.dumps(reward)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert copy == reward and copy(PROMPTS, COMPLETIONS) == before
    assert copy._held[0][0] is reward._held[0][0] is load_reward_model(str(causal_reward_model))


def test_the_environments_device(causal_reward_model: Path) -> None:
    reward = RewardModel(str(causal_reward_model))
    assert reward.for_environment(model="tiny", device="cuda").device == "cuda"
    assert RewardModel(reward.model, device="cpu").for_environment(model="tiny", device="cuda").device == "cpu"


def test_an_environment_pays_it(causal_reward_model: Path, lm_folder: str) -> None:
    seen = []

    def spy(prompts: list[str], completions: list[str]) -> list[float]:
        seen.append((prompts[0], completions[0]))
        return [0.0]

    reward = [f"model:{causal_reward_model}", spy]
    env = gym.make("TextGen-v0", model=lm_folder, dataset=["was it 5?"], reward=reward, max_new_tokens=4)
    env.reset(seed=0)
    done, total = False, 0.0
    while not done:
        _, paid, terminated, truncated, info = env.step(20)
        done, total = terminated or truncated, total + float(paid)
    prompt, completion = seen[0]
    assert completion and total == pytest.approx(RewardModel(str(causal_reward_model))([prompt], [completion])[0])
    assert info["reward_terms"]["model"] == pytest.approx(total)


def test_ppo_trains_against_it(ensemble: Path, lm_folder: str) -> None:
    kwargs = {"dataset": ["was it 5?", "is it a?"], "reward": f"model:{ensemble}", "max_new_tokens": 4}
    env = make_lm_vec_env(n_envs=2, env_kwargs={"model": lm_folder, **kwargs})
    agent = PPO(
        LMActorCriticPolicy,
        env,
        n_steps=8,
        batch_size=8,
        n_epochs=1,
        seed=0,
        policy_kwargs={"model": lm_folder},
        rollout_buffer_class=SequenceRolloutBuffer,
        device="cpu",
    )
    agent.learn(32)
    returns = [item["r"] for item in agent.ep_info_buffer]
    assert returns and np.isfinite(returns).all() and np.any(returns)
    env.close()


def changed(folder: Path, target: Path, **config: object) -> Path:
    """A copy of a model folder with another configuration."""
    shutil.copytree(folder, target)
    path = target / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return target


def test_two_outputs(tmp_path: Path, lm_folder: str) -> None:
    AutoModelForSequenceClassification.from_pretrained(lm_folder, num_labels=2).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(lm_folder).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"expected one output, got 2 labels \(LABEL_0, LABEL_1\).*train-reward-model"):
        make_reward(f"model:{tmp_path}")


def test_models_without_an_output(lm_folder: str, bert_folder: str) -> None:
    for folder in (lm_folder, bert_folder, "tiny"):
        with pytest.raises(ModelError, match="has no such output: its scores would be random. Train one on it"):
            RewardModel(folder)
    with pytest.raises(ModelError, match="there is no model folder './nowhere'"):
        make_reward("model:./nowhere")
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny'"):
        make_reward("model:tinny")


def test_missing_or_damaged_weights(causal_reward_model: Path, tmp_path: Path) -> None:
    folder = changed(causal_reward_model, tmp_path / "rm")
    tensors = load_file(folder / "model.safetensors")
    score = tensors.pop("score.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"weights of .* are incomplete.*score.weight"):
        RewardModel(str(folder))(["a"], [" b"])
    save_file(
        {**tensors, "score.weight": score * float("nan")}, folder / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(ModelError, match="score.weight has NaN or infinite numbers"):
        RewardModel(str(folder))(["a"], [" b"])


@pytest.mark.parametrize("stored", [{}, {"reads": "both", "mean": 0, "std": 1}, {"reads": "pair", "mean": 0, "std": 0}])
def test_a_damaged_scale(stored: dict, causal_reward_model: Path, tmp_path: Path) -> None:
    folder = changed(causal_reward_model, tmp_path / "rm", reward_model=stored)
    with pytest.raises(ModelError, match='config.json has "reward_model".*Train the reward model again'):
        RewardModel(str(folder))(["a"], [" b"])


def test_a_damaged_ensemble(ensemble: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ensemble"
    shutil.copytree(ensemble, folder)
    shutil.rmtree(folder / "member-1")
    with pytest.raises(ModelError, match=r"1 of them are missing \(.*member-1\)"):
        RewardModel(str(folder))
    (folder / "ensemble.json").write_text('{"members": []}')
    with pytest.raises(ModelError, match="lists the members of an ensemble, and there are none"):
        RewardModel(str(folder))
    (folder / "ensemble.json").write_text("nonsense")
    with pytest.raises(ModelError, match="cannot read.*ensemble.json"):
        RewardModel(str(folder))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("batch_size=0", "batch_size of the reward 'model' has to be an integer >= 1"),
        ("std_weight=-1", "std_weight of the reward 'model' has to be a number >= 0, got -1"),
        ("std_weight=True", "std_weight of the reward 'model' has to be a number >= 0, got True"),
        ("normalize=3", "normalize of the reward 'model' has to be True or False, got 3"),
        ("normalize=False", "is an ensemble, whose members have a zero and a scale of their own"),
        ("folder=3", "unknown parameter of the reward 'model' 'folder'"),
    ],
)
def test_wrong_parameters(arguments: str, message: str, ensemble: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_reward(f"model:{ensemble},{arguments}")
