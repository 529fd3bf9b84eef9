"""The tasks and their registry."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from lm_envs import tasks
from lm_envs.data import PromptDataset
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.rewards import make_reward
from lm_envs.tasks import Task
from lm_envs.text_gen import TextGenEnv
from lm_envs.text_gen_vector import TextGenVectorEnv

NAMES = ["keywords", "reviews"]


def load_one(split: str) -> PromptDataset:
    return PromptDataset([f"a {split} prompt"], {"answer": ["yes"]})


def constant(completions: list[str], **columns: Any) -> list[float]:
    return [0.5] * len(completions)


def says_answer(prompts: list[str], completions: list[str], answer: list[str], **columns: Any) -> list[bool]:
    return [word in text for word, text in zip(answer, completions, strict=True)]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Task]]:
    """The registry, put back afterwards."""
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))
    yield tasks._TASKS


def test_names() -> None:
    assert tasks.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint_and_fixed(name: str) -> None:
    task = tasks.get(name)
    splits = {split: task.load(split) for split in tasks.SPLITS}
    assert [len(splits[split]) >= size for split, size in zip(tasks.SPLITS, (4000, 512, 512), strict=True)]
    prompts = [prompt for dataset in splits.values() for prompt in dataset.prompts]
    assert len(set(prompts)) == len(prompts) and all(prompts)
    assert task.load_split("validation").prompts == splits["validation"].prompts
    assert task.load("validation") is splits["validation"]
    assert task.description.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_default_reward_fits_the_columns(name: str) -> None:
    task = tasks.get(name)
    make_reward(task.reward).check_columns(task.load("test").columns)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", [{}, {"render_mode": "ansi", "stop": "."}, {"split": "test"}], ids=str)
def test_both_checkers(name: str, variant: dict[str, Any]) -> None:
    env = gym.make("TextGen-v0", task=name, max_new_tokens=4, **variant)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
        sb3_check_env(env.unwrapped, warn=True, skip_render_check=False)


@pytest.mark.parametrize("name", NAMES)
def test_twins_agree_for_50_steps(name: str) -> None:
    twins = [gym.make_vec("TextGen-v0", num_envs=2, task=name, max_new_tokens=20) for _ in range(2)]
    observations = [envs.reset(seed=1)[0]["input_ids"] for envs in twins]
    np.testing.assert_array_equal(*observations)
    for actions in np.random.default_rng(0).integers(0, twins[0].single_action_space.n, (50, 2)):
        (a, r, *_), (b, q, *_) = (envs.step(actions) for envs in twins)
        np.testing.assert_array_equal(a["input_ids"], b["input_ids"])
        np.testing.assert_array_equal(r, q)


@pytest.mark.parametrize("name", NAMES)
def test_prompts_fit_the_default_room(name: str) -> None:
    TextGenEnv(task=name, on_long_prompt="raise")


def test_reviews_pay_sentiment() -> None:
    env = TextGenVectorEnv(2, max_new_tokens=8)
    env.reset(seed=0)
    rows = [
        env._episodes.vocabulary.tokenizer(text)["input_ids"][:8]
        for text in (" is great. I love it, it is good.", " is awful. I hate it, it is bad.")
    ]
    for actions in zip(*rows, strict=True):
        _, rewards, terminations, _, infos = env.step(np.array(actions))
    assert terminations.all()
    assert 0.0 <= rewards[1] < 0.4 < 0.6 < rewards[0] <= 1.0
    assert "is_success" not in infos["final_info"]
    np.testing.assert_array_equal(infos["final_info"]["reward_terms"]["sentiment"], rewards)


def test_keywords_success() -> None:
    task = tasks.get("keywords")
    words = task.load("test").columns["keywords"][0]
    assert task.is_success is not None
    texts = [f"The {' and the '.join(words)} are here.", f"The {words[0]} is here.", ""]
    assert task.is_success([""] * 3, texts, keywords=[words] * 3) == [True, False, False]


@pytest.mark.usefixtures("registry")
def test_own_task(stand_in: str) -> None:
    task = tasks.register(Task("own", "Say yes.", load_one, constant, is_success=says_answer, splits=("train", "dev")))
    assert tasks.register(task) is task
    env = gym.make("TextGen-v0", task="own", split="dev", model=stand_in, max_new_tokens=8)
    for word, success in (("yes", True), ("no", False)):
        env.reset(seed=0)
        for token in [*env.unwrapped._episodes.vocabulary.tokenizer(word)["input_ids"], 0]:  # type: ignore[attr-defined]
            info = env.step(token)[4]
        assert info["prompt"] == "a dev prompt" and info["is_success"] is success
    with pytest.raises(UnknownNameError, match="unknown split of task 'own' 'test'.*Known: dev, train"):
        gym.make("TextGen-v0", task="own", split="test", model=stand_in)


@pytest.mark.usefixtures("registry")
def test_names_are_unique() -> None:
    with pytest.raises(ConfigurationError, match="a task named 'reviews' is registered already"):
        tasks.register(Task("reviews", "Another.", load_one, constant))


def test_task_objects_need_no_registration(stand_in: str) -> None:
    env = TextGenEnv(task=Task("own", "Say yes.", load_one, constant), model=stand_in)
    env.reset(seed=0)
    assert env.step(0)[1] == 0.5


def test_register_wants_a_task() -> None:
    with pytest.raises(ConfigurationError, match=r"expected a lm_envs\.tasks\.Task, got str"):
        tasks.register("reviews")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "a task's name must be a non-empty string"),
        ({"load_split": ["a"]}, "load_split of task 'own' must be a function"),
        ({"reward": None}, "task 'own' needs a reward"),
    ],
)
def test_malformed_task(change: dict[str, Any], message: str) -> None:
    fields = {"name": "own", "description": "", "load_split": load_one, "reward": constant, **change}
    with pytest.raises(ConfigurationError, match=message):
        Task(**fields)
