"""What is learned of labels from rewards is measured beside what the same policy learns from the labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th

from agents import LMActorCriticPolicy, LMQPolicy, make_lm_vec_env
from agents.evaluation import evaluate
from agents.recipes.train_config import make_config
from benchmarks import labels
from benchmarks.labels import CASES, Budget
from benchmarks.supervised import Always, demonstrations, fit, gold_actions

QUESTIONS = [
    {"question": f"{word} {other}", "choices": ["good", "bad"], "answer": "good" if word == "a" else "bad"}
    for word in ("a", "b")
    for other in "cdefghij"
]
SENTENCES = [
    {"words": ["the", word, *rest], "labels": ["O", "B-X" if word == "a" else "O", *(["O"] * len(rest))]}
    for word in ("a", "b")
    for rest in ([], ["c"], ["d", "e"])
]
TASKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "choices": ("QA-v0", {"dataset": QUESTIONS, "actions": "choice", "max_prompt_tokens": 16}, "accuracy"),
    "tags": ("Tagging-v0", {"dataset": SENTENCES, "max_words": 4, "max_tokens": 16}, "entity_f1"),
}


def make_policy(env_id: str, env_kwargs: dict[str, Any], folder: str, policy: Any) -> Any:
    venv = make_lm_vec_env(env_id, env_kwargs=env_kwargs)
    return policy(venv.observation_space, venv.action_space, lambda _: 3e-3, model=folder)


@pytest.mark.parametrize("task", TASKS)
def test_gold_actions_have_the_highest_score(task: str, lm_folder: str) -> None:
    env_id, kwargs, _ = TASKS[task]
    kwargs = {**kwargs, "model": lm_folder}
    gold = gold_actions(env_id, kwargs)
    shown = demonstrations(env_id, kwargs, gold)
    assert [item.actions.tolist() for item in shown] == gold
    env = gym.make(env_id, **kwargs)
    for item, actions, index in zip(shown, gold, range(4), strict=False):
        obs, _ = env.reset(seed=0, options={"index": index})
        total = 0.0
        for place, action in enumerate(actions):
            read = item.sequences[item.rows[place]][: item.positions[place] + 1]
            assert np.array_equal(obs["input_ids"][: obs["attention_mask"].sum()], read)
            obs, reward, _, _, _ = env.step(action)
            total += float(reward)
        assert total == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("task", "policy"), [("choices", LMQPolicy), ("choices", LMActorCriticPolicy), ("tags", LMActorCriticPolicy)]
)
def test_a_policy_learns_from_labels(task: str, policy: Any, lm_folder: str) -> None:
    env_id, kwargs, metric = TASKS[task]
    kwargs = {**kwargs, "model": lm_folder}
    made = make_policy(env_id, kwargs, lm_folder, policy)
    gold = gold_actions(env_id, kwargs)
    n_seen = fit(made, demonstrations(env_id, kwargs, gold), epochs=60, seed=0)
    assert n_seen == 60 * sum(map(len, gold))
    found = evaluate(made, env_id, kwargs, split="train", n_prompts=100, deterministic=True)
    assert found.metrics[metric].mean == 1.0


def test_always_the_same_action(lm_folder: str) -> None:
    env_id, kwargs, metric = TASKS["choices"]
    kwargs = {**kwargs, "model": lm_folder}
    policy = make_policy(env_id, kwargs, lm_folder, LMQPolicy)
    share = np.mean([row == [1] for row in gold_actions(env_id, kwargs)])
    found = evaluate(Always(policy, 1), env_id, kwargs, split="train", n_prompts=100, deterministic=True)
    assert found.metrics[metric].mean == pytest.approx(share)
    assert th.equal(Always(policy, 1)._predict({"input_ids": th.zeros(3, 2)}), th.ones(3))


def test_the_summary() -> None:
    values = dict.fromkeys((*labels.MEASURES, "n_test", "steps", "labels"), 1.0)
    runs = [
        {**values, "case": "topic", "metric": "accuracy", "algorithm": "dqn", "trainable": "all", "rl": rl}
        for rl in (0.5, 0.9)
    ]
    (row,) = labels.summarise(runs)
    assert row["rl"] == {"mean": 0.7, "min": 0.5, "max": 0.9} and row["case"] == "topic"


@pytest.mark.parametrize("name", CASES)
def test_cases_are_recipes_on_small_worlds(name: str) -> None:
    case = CASES[name]
    given = dict(zip(case.arguments[::2], case.arguments[1::2], strict=True))
    config = make_config(case.env_id, algorithm=given["--algo"], dataset=given.get("--dataset"))
    assert config.label == name and config.model == "tiny"
    assert len(gold_actions(case.env_id, {**config.evaluation_kwargs(), "split": "test"})) >= 160


@pytest.mark.slow
@pytest.mark.parametrize("name", ["intent", "entities"])
def test_a_run_of_each_kind(name: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    options = ["--cases", name, "--seeds", "1", "--steps", "256", "--epochs", "1", "--texts", "128"]
    labels.main([*options, "--json", str(file)])
    (run,) = json.loads(file.read_text())["runs"]
    assert run["case"] == name and run["seed"] == 1 and run["steps"] == 256
    assert all(0 <= run[key] <= 1 for key in ("majority", "untrained", "supervised", "rl"))


def test_runs_of_other_cases_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(name: str, seed: int, budget: Budget, threads: int) -> dict[str, Any]:
        values = dict.fromkeys((*labels.MEASURES, "n_test", "steps", "labels"), 0.5)
        texts = {"metric": "accuracy", "algorithm": "dqn", "trainable": "all"}
        return {"case": name, "seed": seed, **texts, **values}

    monkeypatch.setattr(labels, "learn_both_ways", learn)
    file = tmp_path / "labels.json"
    labels.main(["--cases", "topic", "--seeds", "0", "1", "--json", str(file)])
    labels.main(["--cases", "intent", "--seeds", "3", "--add", "--json", str(file)])
    result = json.loads(file.read_text())
    assert [(run["case"], run["seed"]) for run in result["runs"]] == [("topic", 0), ("topic", 1), ("intent", 3)]
    assert [row["case"] for row in result["summary"]] == ["topic", "intent"]
