from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from agents.algorithms import ALGORITHMS, algorithm_class, split_hyperparameters
from agents.recipes import BY_ALGORITHM, BY_TASK, LEARNING_RATES, TrainConfig, make_config
from lm_envs.errors import CheckpointError, ConfigurationError, MissingDependencyError, UnknownNameError


def test_what_is_given_wins_over_the_recipe() -> None:
    config = make_config(task="reviews", steps=7, n_envs=None, hyperparameters={"n_epochs": 9})
    assert (config.steps, config.hyperparameters["n_epochs"]) == (7, 9)
    assert config.hyperparameters == {**BY_ALGORITHM["ppo"], "learning_rate": LEARNING_RATES["tiny"], "n_epochs": 9}
    assert config.n_envs > 1


def test_the_default_task_is_named_and_a_data_set_has_none() -> None:
    assert make_config().task == "reviews"
    config = make_config(dataset="data/questions.jsonl", reward="keywords")
    assert config.task is None and config.label == "questions"
    assert "task" not in config.environment_kwargs()


def test_a_target_of_zero_means_a_fixed_coefficient() -> None:
    assert make_config(kl_target=0).kl_target is None
    assert make_config(kl_target=None).kl_target is not None


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
        ({"step": 3}, "unknown setting of a run 'step'. Did you mean 'steps'"),
        ({"steps": 0}, "steps must be an integer of at least 1; got 0"),
        ({"n_envs": 2.5}, "n_envs must be an integer"),
        ({"n_envs": True}, "n_envs must be an integer"),
        ({"early_stopping": 0}, "early_stopping must be an integer of at least 1"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"kl_coef": -0.1}, "kl_coef must be a number of at least 0"),
        ({"kl_coef": float("nan")}, "kl_coef must be a number"),
        ({"kl_target": -1}, "kl_target must be a number of nats above 0"),
        ({"env_kwargs": {"max_new_tokns": 3}}, "Did you mean 'max_new_tokens'"),
        ({"env_kwargs": {"split": "test"}}, "'split' is no further argument"),
    ],
)
def test_values_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, UnknownNameError), match=message):
        make_config(**settings)


def test_every_recipe_is_accepted_by_its_algorithm() -> None:
    for name in ALGORITHMS:
        for env_id, task in BY_TASK:
            config = make_config(env_id, task=task, algorithm=name)
            algorithm, policy = split_hyperparameters(name, config.hyperparameters)
            assert {**algorithm, **policy} == config.hyperparameters


def test_hyperparameters_of_algorithm_and_policy_are_told_apart() -> None:
    values = {"clip_range": 0.1, "temperature": 0.7, "value": "separate"}
    assert split_hyperparameters("ppo", values) == ({"clip_range": 0.1}, {"temperature": 0.7, "value": "separate"})
    with pytest.raises(UnknownNameError, match="Did you mean 'clip_range'"):
        split_hyperparameters("ppo", {"clip_rnge": 0.1})
    with pytest.raises(UnknownNameError, match="unknown hyperparameter of ppo and its policy 'model'"):
        split_hyperparameters("ppo", {"model": "gpt2"})


def test_algorithms_are_the_libraries_own() -> None:
    import stable_baselines3

    assert algorithm_class("ppo") is stable_baselines3.PPO


def test_an_algorithm_whose_package_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ALGORITHMS, "xyz", ("a_package_that_is_not_there", "XYZ"))
    with pytest.raises(MissingDependencyError, match=r"lm-envs\[contrib\]"):
        make_config(algorithm="xyz")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().steps = 3  # type: ignore[misc]
