"""Ids, lazy attributes, and what an import costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium as gym
import pytest

import lm_envs

HEAVY = ["torch", "transformers", "stable_baselines3", "pandas", "tokenizers", "vaderSentiment", "datasets"]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_light() -> None:
    modules = "lm_envs, lm_envs.text_gen, lm_envs.text_gen_vector, lm_envs.tasks"
    code = f"import sys, {modules}; print([name for name in {HEAVY} if name in sys.modules])"
    assert run_python(code) == "[]"


def test_id_resolves_without_import() -> None:
    code = (
        "import gymnasium as gym; spec = gym.envs.registration._find_spec('lm_envs:TextGen-v0');"
        "print(spec.entry_point, spec.vector_entry_point)"
    )
    expected = "lm_envs.text_gen:TextGenEnv lm_envs.text_gen_vector:TextGenVectorEnv"
    assert run_python(code) == expected


def test_registering_again_is_silent() -> None:
    before = gym.registry["TextGen-v0"]
    lm_envs.register_envs()
    assert gym.registry["TextGen-v0"] is before


@pytest.mark.parametrize("name", lm_envs.__all__)
def test_lazy_attributes(name: str) -> None:
    assert getattr(lm_envs, name) is not None
    assert name in dir(lm_envs)


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'wrapers'"):
        lm_envs.wrapers  # noqa: B018


def test_make_and_make_vec(stand_in: str) -> None:
    kwargs: dict[str, Any] = {
        "model": stand_in,
        "dataset": ["a lamp"],
        "reward": lambda completions, **_: [1.0],
    }
    env = gym.make("TextGen-v0", **kwargs)
    assert env.spec is not None and env.spec.id == "TextGen-v0"
    envs = gym.make_vec("lm_envs:TextGen-v0", num_envs=3, **kwargs)
    assert type(envs).__name__ == "TextGenVectorEnv" and envs.num_envs == 3
    assert envs.spec is not None and envs.spec.id == "TextGen-v0"
    remade = gym.make_vec(envs.spec)
    assert remade.num_envs == 3
    for made in (env, envs, remade):
        made.close()
        made.close()
