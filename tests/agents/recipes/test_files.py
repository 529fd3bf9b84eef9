"""The recipes as RL-Zoo sees them, and the errors in files that somebody else writes."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.recipes.algorithms import ALGORITHMS, policy_class
from agents.recipes.files import FOLDER, Recipe, read_recipe
from lm_envs.errors import ConfigurationError

FILES = sorted(path.stem for path in FOLDER.glob("*.yml"))
IN_RL_ZOO = [name for name in FILES if name != "maskable_ppo"]
# What RL-Zoo's ExperimentManager takes out of a section; it passes everything else to the algorithm.
OF_RL_ZOO = {"policy", "n_timesteps", "n_envs", "env_kwargs", "env_wrapper", "callback", "policy_kwargs"}


def section(name: str) -> dict[str, Any]:
    """What RL-Zoo reads: the section named after the environment."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text())["TextGen-v0"]


def algorithm_of(name: str) -> str:
    return name.removesuffix("_hidden")


def test_every_algorithm_has_a_file() -> None:
    assert {algorithm_of(name) for name in FILES} == set(ALGORITHMS)


@pytest.mark.parametrize("name", FILES)
def test_rl_zoo_can_pass_every_key_on(name: str) -> None:
    from agents.recipes.algorithms import algorithm_class

    values = section(name)
    assert isinstance(values["n_timesteps"], int) and isinstance(values["n_envs"], int)
    known = set(inspect.signature(algorithm_class(algorithm_of(name)).__init__).parameters)
    assert set(values) - OF_RL_ZOO <= known - {"rollout_buffer_class"}
    policy = policy_class(algorithm_of(name), values["policy"])
    assert set(values.get("policy_kwargs", {})) <= set(inspect.signature(policy.__init__).parameters)


@pytest.mark.parametrize("name", FILES)
def test_numbers_are_numbers(name: str) -> None:
    sections = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    for key, value in ((key, value) for values in sections.values() for key, value in values.items()):
        if isinstance(value, str):
            assert key in ("policy", "replay_buffer_class") or value.startswith("lin_"), f"{key}: {value} is text"


def test_the_class_of_the_replay_buffer_is_what_rl_zoo_evaluates() -> None:
    import importlib

    import agents

    def get_class_by_name(name: str) -> Any:  # RL-Zoo's own
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)

    evaluated = eval(section("dqn")["replay_buffer_class"], {"get_class_by_name": get_class_by_name})
    assert evaluated is agents.SequenceReplayBuffer
    recipe = read_recipe(FOLDER / "dqn.yml", "TextGen-v0")
    assert recipe.hyperparameters["replay_buffer_class"] == "agents.SequenceReplayBuffer"


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_RL_ZOO)
def test_rl_zoo_trains_with_the_file(tmp_path: Path, name: str) -> None:
    pytest.importorskip("rl_zoo3")
    small = {"n_envs": 2, "env_kwargs": "dict(max_new_tokens=4, group_size=2)", "learning_rate": 0.001, "batch_size": 8}
    small |= (
        {"n_steps": 8} if ALGORITHMS[algorithm_of(name)].on_policy else {"learning_starts": 20, "buffer_size": 2000}
    )
    if name == "a2c":
        del small["batch_size"]
    algorithm = ALGORITHMS[algorithm_of(name)].name.lower()  # RL-Zoo knows the library's names
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", algorithm, "--env", "TextGen-v0"]
    command += ["--gym-packages", "lm_envs", "--conf-file", str(FOLDER / f"{name}.yml"), "--eval-freq", "-1"]
    command += ["-n", "60", "-f", str(tmp_path), "-params", *(f"{key}:{value}" for key, value in small.items())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER.parents[1]), *filter(None, sys.path)])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(tmp_path.glob("*/TextGen-v0_1/TextGen-v0.zip"))


def test_later_sections_replace_keys(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(
        "E: {policy: MlpPolicy, n_timesteps: 1, gamma: 0.5}\n"
        "E task=t: {n_timesteps: 2}\n"
        "E model=other: {gamma: 0.6}\nE model=m: {gamma: 0.7}\n"
        "E actions=acts: {gamma: 0.8}\n"
    )
    assert read_recipe(file, "E") == Recipe("MlpPolicy", 1, hyperparameters={"gamma": 0.5})
    assert read_recipe(file, "E", "t", "m") == Recipe("MlpPolicy", 2, hyperparameters={"gamma": 0.7})
    assert read_recipe(file, "E", None, "x").hyperparameters == {"gamma": 0.6}
    assert read_recipe(file, "E", None, "m", "acts").hyperparameters == {"gamma": 0.8}
    assert read_recipe(file, "E", None, "m", "tokens").hyperparameters == {"gamma": 0.7}


def test_the_penalty_comes_from_the_callback() -> None:
    recipe = read_recipe(FOLDER / "ppo.yml", "TextGen-v0")
    (penalty,) = [entry for entry in section("ppo")["callback"] if "agents.ReferenceKLCallback" in entry]
    assert penalty == {"agents.ReferenceKLCallback": {"coef": recipe.kl_coef, "target": recipe.kl_target}}
    assert "callback" not in recipe.hyperparameters


def test_further_arguments_of_the_rollout_buffer_are_hyperparameters(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(
        "E:\n  policy: agents.LMActorCriticPolicy\n  callback:\n"
        "    - agents.RolloutBufferCallback: {rollout_buffer_class: agents.GRPORolloutBuffer, scale: none}\n"
    )
    assert read_recipe(file, "E").hyperparameters == {"rollout_buffer_kwargs": {"scale": "none"}}
    assert "rollout_buffer_kwargs" not in read_recipe(FOLDER / "grpo.yml", "TextGen-v0").hyperparameters


def test_the_interval_of_masks_comes_from_the_callback() -> None:
    recipe = read_recipe(FOLDER / "nlpo.yml", "TextGen-v0")
    (mask,) = [entry for entry in section("nlpo")["callback"] if "agents.NLPOMaskCallback" in entry]
    assert mask == {"agents.NLPOMaskCallback": {"update_every": recipe.mask_every}}
    assert (recipe.kl_target, recipe.hyperparameters["top_p"]) == (7.0, 0.95)
    assert read_recipe(FOLDER / "ppo.yml", "TextGen-v0").mask_every is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("E: [", "is no YAML file"),
        ("- 1", "must be a mapping of names to values"),
        ("F: {}", "has no section 'E', only .'F'."),
        ("E: {gamma: 1}", "names no policy"),
        ("E: {policy: P, policy_kwargs: dict(a=1)}", "policy_kwargs in .* must be a mapping"),
        ("E: {policy: P, callback: a.B}", "has the callback 'a.B'; lm-envs train knows"),
        ("E: {policy: P, env_wrapper: Candidates}", "expected an import path"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_recipe(tmp_path / "mine.yml", "E")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the hyperparameters"):
        read_recipe(tmp_path / "none.yml", "E")
