"""Mistakes are reported when the environment is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from lm_envs.data import PromptDataset
from lm_envs.errors import ConfigurationError, DataError, ModelError, UnknownNameError
from lm_envs.rewards import RewardSum, make_reward
from lm_envs.text_gen import TextGenEnv
from lm_envs.text_gen_config import TextGenConfig
from lm_envs.text_gen_vector import TextGenVectorEnv


def one(completions: list[str], **columns: Any) -> list[float]:
    """A reward."""
    return [1.0] * len(completions)


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_new_tokens": 0}, ConfigurationError, "max_new_tokens must be an integer of at least 1, got 0"),
    ({"max_new_tokens": 2.0}, ConfigurationError, "max_new_tokens must be an integer of at least 1, got 2.0"),
    (
        {"max_prompt_tokens": -1},
        ConfigurationError,
        "max_prompt_tokens must be an .* at least 1, got -1",
    ),
    ({"min_new_tokens": -1}, ConfigurationError, "min_new_tokens must be .* from 0 to max_new_tokens=32, got -1"),
    ({"min_new_tokens": 33}, ConfigurationError, "from 0 to max_new_tokens=32, got 33.*Lower it"),
    ({"min_new_tokens": True}, ConfigurationError, "min_new_tokens must be an integer .* got True"),
    ({"min_new_tokens": None}, ConfigurationError, "min_new_tokens must be an integer .* got None"),
    ({"task": "reviews"}, ConfigurationError, "got both task='reviews' and a dataset"),
    ({"reward": None}, ConfigurationError, "a dataset needs a reward"),
    ({"reward": "sentimnt"}, UnknownNameError, "unknown reward 'sentimnt'. Did you mean 'sentiment'"),
    ({"dataset": None, "task": "revews"}, UnknownNameError, "unknown task 'revews'. Did you mean 'reviews'"),
    ({"dataset": None, "task": ["reviews"]}, UnknownNameError, "unknown task .* For prompts of your own"),
    ({"dataset": None, "split": "tran"}, UnknownNameError, "unknown split .*'tran'. Did you mean 'train'"),
    ({"on_long_prompt": "cut"}, UnknownNameError, "unknown on_long_prompt 'cut'. .*Known: raise, truncate"),
    ({"render_mode": "svg"}, UnknownNameError, "unknown render_mode 'svg'"),
    ({"stop": ""}, ConfigurationError, "stop must be a string or a list of strings"),
    ({"dataset": []}, DataError, "prompt"),
    ({"dataset": [{"prompt": "a", "completions": "b"}]}, DataError, "a column named 'completions'"),
    ({"model": "tinny"}, UnknownNameError, "unknown model 'tinny'. Did you mean 'tiny'"),
    ({"model": "./no/such/folder"}, ModelError, "no model folder"),
    ({"max_new_tokens": 97}, ConfigurationError, r"32 \+ 97 is more than the 128 positions of model"),
    (
        {"on_long_prompt": "raise", "max_prompt_tokens": 3},
        DataError,
        r"1 of 2 prompts are longer than max_prompt_tokens=3, the first is prompt 1 with \d+ tokens",
    ),
]


@pytest.mark.parametrize("num_envs", [None, 2])
@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes(
    stand_in: str, mistake: dict[str, Any], error: type[Exception], message: str, num_envs: int | None
) -> None:
    kwargs = {"model": stand_in, "dataset": ["a", "This is a long prompt"], "reward": one, **mistake}
    with pytest.raises(error, match=message):
        if num_envs is None:
            TextGenEnv(**kwargs)
        else:
            TextGenVectorEnv(num_envs, **kwargs)


def test_missing_file(stand_in: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        gym.make("TextGen-v0", model=stand_in, dataset=str(tmp_path / "nothing.jsonl"), reward=one)


def test_missing_column_of_a_reward(stand_in: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown column 'reference'"):
        gym.make("TextGen-v0", model=stand_in, dataset=[{"prompt": "a", "refrence": "b"}], reward="bleu")


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("max_tokens", "Did you mean 'max_new_tokens'"),
        ("rewards", "Did you mean 'reward'"),
        ("max_episode_steps", "vectorization_mode='sync'"),
    ],
)
def test_misspelt_argument(stand_in: str, argument: str, remedy: str) -> None:
    if argument != "max_episode_steps":  # which gym.make takes for itself
        with pytest.raises(TypeError, match=argument):
            gym.make("TextGen-v0", model=stand_in, dataset=["a"], reward=one, **{argument: 3})
    with pytest.raises(UnknownNameError, match=remedy):
        gym.make_vec("TextGen-v0", model=stand_in, dataset=["a"], reward=one, **{argument: 3})


def test_datasets_pass_through() -> None:
    dataset = PromptDataset(["a"], {"answer": [3]})
    assert TextGenConfig(dataset=dataset, reward=one).load_dataset(None) is dataset


def test_rewards_learn_the_environments_model() -> None:
    class NeedsModel:
        __name__ = "needs_model"

        def for_environment(self, model: str, device: str) -> Any:
            def bound(completions: list[str], **columns: Any) -> list[float]:
                return [float(model == "m" and device == "cuda")] * len(completions)

            return bound

        def __call__(self, completions: list[str], **columns: Any) -> list[float]:
            raise AssertionError("not bound")

    config = TextGenConfig(dataset=["a"], reward={NeedsModel(): 2.0, one: 1.0}, model="m", device="cuda")
    batch = config.load_reward(None)(["p"], ["c"])
    assert {name: values.tolist() for name, values in batch.terms.items()} == {
        "needs_model": [2.0],
        "one": [1.0],
    }


def test_reward_sum_passes_through() -> None:
    given = make_reward({one: 0.25})
    loaded = TextGenConfig(dataset=["a"], reward=given).load_reward(None)
    assert isinstance(loaded, RewardSum) and repr(loaded) == repr(given)
