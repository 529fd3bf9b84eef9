from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from agents import LMActorCriticPolicy, LMQPolicy
from agents.recipes.algorithms import ALGORITHMS, Algorithm, algorithm_class, policy_class, split_hyperparameters
from agents.recipes.env_wrappers import CANDIDATES
from agents.recipes.files import observations
from agents.recipes.train_config import TrainConfig, make_config
from lm_envs.errors import CheckpointError, ConfigurationError, MissingDependencyError, UnknownNameError


def test_what_is_given_wins_over_the_recipe() -> None:
    config = make_config(task="reviews", steps=7, n_envs=None, hyperparameters={"n_epochs": 9})
    assert (config.steps, config.hyperparameters["n_epochs"]) == (7, 9)
    assert config.hyperparameters == {**make_config().hyperparameters, "n_epochs": 9}
    assert config.n_envs > 1


def test_a_recipe_depends_on_task_and_model() -> None:
    assert make_config(task="keywords").steps != make_config(task="reviews").steps
    assert make_config(model="gpt2").hyperparameters["learning_rate"] == "lin_1e-5"


def test_a_recipe_s_reward_is_for_its_task() -> None:
    assert make_config(algorithm="dqn").reward.keys() == {"sentiment", "grammar"}
    assert make_config(algorithm="dqn", reward="sentiment").reward == "sentiment"
    assert make_config(algorithm="dqn", task="keywords").reward is None
    assert make_config(algorithm="dqn", dataset="x.jsonl").reward is None


def test_environment_arguments_are_added_to_the_recipe_s() -> None:
    config = make_config(algorithm="dqn", env_kwargs={"max_new_tokens": 5})
    assert config.env_kwargs == {"shaping": True, "max_new_tokens": 5}
    assert make_config(algorithm="dqn", env_kwargs={"shaping": False}).env_kwargs == {"shaping": False}
    assert config.environment_kwargs()["shaping"] and not config.evaluation_kwargs()["shaping"]


def test_candidates_and_observations_choose_wrappers() -> None:
    tokens, hidden = (make_config(algorithm="dqn", observation=name) for name in ("tokens", "hidden"))
    assert tokens.policy == "agents.LMQPolicy" and hidden.policy == "MlpPolicy"
    assert len(hidden.env_wrapper) == len(tokens.env_wrapper) + 1
    assert make_config(algorithm="dqn", candidates=4).env_wrapper == [{CANDIDATES: {"k": 4, "sample": "lm"}}]
    assert make_config(algorithm="dqn", candidates=0).env_wrapper == []
    assert make_config(algorithm="ppo", candidates=4).env_wrapper == [{CANDIDATES: {"k": 4}}]


def test_a_value_learner_has_no_penalty_on_divergence() -> None:
    assert (make_config(algorithm="dqn").kl_coef, make_config(algorithm="dqn").kl_target) == (0.0, None)
    assert make_config(algorithm="dqn", kl_target=0).kl_target is None


def test_the_default_task_is_named_and_a_data_set_has_none() -> None:
    assert make_config().task == "reviews"
    config = make_config(dataset="data/questions.jsonl", reward="keywords")
    assert config.task is None and config.label == "questions"
    assert "task" not in config.environment_kwargs()


def test_a_target_of_zero_means_a_fixed_coefficient() -> None:
    assert make_config(kl_target=0).kl_target is None
    assert make_config(kl_target=None).kl_target is not None


def test_a_task_may_read_data_of_the_users_own() -> None:
    template = {"template": "{source} In short:"}
    config = make_config(task="summarization", dataset="news/today.jsonl", env_kwargs={"dataset_kwargs": template})
    assert config.label == "today"
    assert config.environment_kwargs()["task"] == "summarization"
    assert config.environment_kwargs()["dataset_kwargs"] == template


def test_settings_survive_json() -> None:
    config = make_config(reward={"sentiment": 1.0, "repetition": 0.2}, env_kwargs={"max_new_tokens": 5})
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(CheckpointError, match="does not know: warp"):
        TrainConfig.from_dict({"warp": 9})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env_id": "TextGn-v0"}, "unknown environment 'TextGn-v0'. Did you mean 'TextGen-v0'"),
        ({"task": "revews"}, "unknown task 'revews'. Did you mean 'reviews'"),
        ({"algorithm": "ppoo"}, "unknown algorithm 'ppoo'. Did you mean 'ppo'"),
        ({"task": "reviews", "dataset": "x.jsonl"}, "both task 'reviews' and a data set"),
        ({"task": "translatoin", "dataset": "x.jsonl"}, "unknown task 'translatoin'. Did you mean 'translation'"),
        ({"step": 3}, "unknown setting of a run 'step'. Did you mean 'steps'"),
        ({"steps": 0}, "steps must be an integer of at least 1; got 0"),
        ({"n_envs": 2.5}, "n_envs must be an integer"),
        ({"n_envs": True}, "n_envs must be an integer"),
        ({"early_stopping": 0}, "early_stopping must be an integer of at least 1"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"kl_coef": -0.1}, "kl_coef must be a number of at least 0"),
        ({"kl_coef": float("nan")}, "kl_coef must be a number"),
        ({"kl_target": -1}, "kl_target must be a number of nats above 0"),
        ({"algorithm": "dqn", "kl_coef": 0.1}, "dqn learns values from a replay buffer and has neither"),
        ({"algorithm": "qrdqn", "kl_target": 7.0}, "kl_coef and kl_target penalise"),
        ({"candidates": -1}, "candidates must be an integer of at least 0"),
        ({"observation": "hidden"}, "unknown observation of the recipes for ppo 'hidden'"),
        ({"observation": "hidden", "conf_file": "x.yml"}, "with conf_file, observation has no meaning"),
        ({"env_wrapper": ["CandidateActions"]}, "expected an import path"),
        ({"eval_every": 0}, "eval_every must be an integer of at least 1"),
        ({"env_kwargs": {"max_new_tokns": 3}}, "Did you mean 'max_new_tokens'"),
        ({"env_kwargs": {"split": "test"}}, "'split' is no further argument"),
    ],
)
def test_values_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, UnknownNameError), match=message):
        make_config(**settings)


RECIPES = [(name, observation) for name in ALGORITHMS for observation in observations(name)]


@pytest.mark.parametrize(("name", "observation"), RECIPES)
@pytest.mark.parametrize("task", ["reviews", "keywords", "summarization", "translation"])
def test_every_recipe_is_accepted_by_its_algorithm(name: str, observation: str, task: str) -> None:
    config = make_config(task=task, algorithm=name, observation=observation)
    algorithm, policy = split_hyperparameters(name, policy_class(name, config.policy), config.hyperparameters)
    assert {**algorithm, **policy} == config.hyperparameters


def test_hyperparameters_of_algorithm_and_policy_are_told_apart() -> None:
    values = {"clip_range": 0.1, "temperature": 0.7, "value": "separate"}
    algorithm, policy = split_hyperparameters("ppo", LMActorCriticPolicy, values)
    assert (algorithm, policy) == ({"clip_range": 0.1}, {"temperature": 0.7, "value": "separate"})
    assert split_hyperparameters("dqn", LMQPolicy, {"dueling": True})[1] == {"dueling": True}
    with pytest.raises(UnknownNameError, match="Did you mean 'clip_range'"):
        split_hyperparameters("ppo", LMActorCriticPolicy, {"clip_rnge": 0.1})
    for name in ("model", "trainable"):
        with pytest.raises(UnknownNameError, match=f"unknown hyperparameter of ppo and its policy .* {name!r}"):
            split_hyperparameters("ppo", LMActorCriticPolicy, {name: "all"})


def test_policies_are_found_by_path_or_by_the_algorithm_s_name() -> None:
    assert policy_class("dqn", "agents.LMQPolicy") is LMQPolicy
    assert policy_class("dqn", "MlpPolicy").__name__ == "DQNPolicy"
    with pytest.raises(UnknownNameError, match="Did you mean 'MlpPolicy'"):
        policy_class("dqn", "MlpPolcy")
    with pytest.raises(ConfigurationError, match="cannot import the policy 'agents.Nothing'"):
        policy_class("dqn", "agents.Nothing")


def test_algorithms_are_the_libraries_own() -> None:
    import stable_baselines3

    assert algorithm_class("ppo") is stable_baselines3.PPO


def test_an_algorithm_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALGORITHMS, "xyz", Algorithm("a_package_that_is_not_there", "XYZ"))
    with pytest.raises(MissingDependencyError, match=r"lm-envs\[contrib\]"):
        make_config(algorithm="xyz")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().steps = 3  # type: ignore[misc]
