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

NAMES = ["keywords", "reviews", "summarization", "translation"]
WITH_REFERENCE = ["summarization", "translation"]


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
    env = gym.make("TextGen-v0", task=name, **variant)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
        sb3_check_env(env.unwrapped, warn=True, skip_render_check=False)


@pytest.mark.parametrize("name", NAMES)
def test_twins_agree_for_50_steps(name: str) -> None:
    twins = [gym.make_vec("TextGen-v0", num_envs=2, task=name) for _ in range(2)]
    observations = [envs.reset(seed=1)[0]["input_ids"] for envs in twins]
    np.testing.assert_array_equal(*observations)
    for actions in np.random.default_rng(0).integers(0, twins[0].single_action_space.n, (50, 2)):
        (a, r, *_), (b, q, *_) = (envs.step(actions) for envs in twins)
        np.testing.assert_array_equal(a["input_ids"], b["input_ids"])
        np.testing.assert_array_equal(r, q)


@pytest.mark.parametrize("split", tasks.SPLITS)
@pytest.mark.parametrize("name", NAMES)
def test_prompts_and_references_fit_the_tasks_room(name: str, split: str) -> None:
    env = TextGenEnv(task=name, split=split, on_long_prompt="raise")
    task = tasks.get(name)
    assert env.observation_space["input_ids"].shape == (task.max_prompt_tokens + task.max_new_tokens,)  # type: ignore[index]


def test_room_of_ones_own() -> None:
    env = TextGenEnv(task="translation", max_prompt_tokens=20, max_new_tokens=70)
    assert env.observation_space["input_ids"].shape == (90,)  # type: ignore[index]
    assert TextGenEnv().observation_space["input_ids"].shape == (64,)  # type: ignore[index]


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_vector_equals_single(name: str) -> None:
    envs, singles = TextGenVectorEnv(2, task=name), [TextGenEnv(task=name) for _ in range(2)]
    batch = envs.reset(seed=3)[0]["input_ids"]
    for row, single in zip(batch, (env.reset(seed=3 + i)[0] for i, env in enumerate(singles)), strict=True):
        np.testing.assert_array_equal(row, single["input_ids"])
    for actions in np.random.default_rng(0).integers(3, 2000, (100, 2)):
        obs, rewards, terminated, _, _ = envs.step(actions)
        for i, env in enumerate(singles):
            row, reward, done, _, info = env.step(actions[i])
            assert (reward, done) == (rewards[i], terminated[i])
            assert not done or info["is_success"] is False
            row = env.reset()[0] if done else row
            np.testing.assert_array_equal(row["input_ids"], obs["input_ids"][i])


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_writing_the_reference_earns_the_maximum(name: str) -> None:
    env = TextGenEnv(task=name, split="validation")
    dataset = tasks.get(name).load("validation")
    for index in range(0, 512, 64):
        env.reset(seed=0, options={"index": index})
        text = f" {dataset.columns['reference'][index]}"
        ids = env.vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"]
        for token in [*ids, env.vocabulary.eos_ids[0]]:
            _, reward, _, _, info = env.step(token)
        assert info["is_success"] is True and info["stop_reason"] == "eos"
        assert reward == {"summarization": 2.5, "translation": 2.0}[name]


@pytest.mark.parametrize("split", tasks.SPLITS)
@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_the_gold_text_is_the_maximum_and_garbage_the_minimum(name: str, split: str) -> None:
    task = tasks.get(name)
    data, reward = task.load(split), make_reward(task.reward)
    columns = {key: values[:64] for key, values in data.columns.items()}
    maximum = sum(term.weight for term in reward.terms)
    gold = reward(data.prompts[:64], [f" {text}" for text in columns["reference"]], **columns)
    np.testing.assert_allclose(gold.total, maximum, atol=1e-6)
    for bad in ("", " \n", "@#~ %% $$", "жж щщ", "Жж 99"):
        np.testing.assert_array_equal(reward(data.prompts[:64], [bad] * 64, **columns).total, 0.0)
    for term in reward.terms:
        assert term.function(prompts=["p"], completions=[None], source=["a b"], reference=["a"]) == [0.0]


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_success_is_the_reference_but_for_white_space(name: str) -> None:
    is_success = tasks.get(name).is_success
    assert is_success is not None
    texts = ["  Anna  sings.\n", "Anna sings", "", "Anna sings."]
    references = ["Anna sings.", "Anna sings.", "Anna sings.", ["Ann sings.", "Anna sings."]]
    assert is_success([""] * 4, texts, reference=references, source=[""] * 4) == [True, False, False, True]


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
        ({"max_new_tokens": 0}, "max_new_tokens of task 'own' must be an integer of at least 1, got 0"),
    ],
)
def test_malformed_task(change: dict[str, Any], message: str) -> None:
    fields = {"name": "own", "description": "", "load_split": load_one, "reward": constant, **change}
    with pytest.raises(ConfigurationError, match=message):
        Task(**fields)
