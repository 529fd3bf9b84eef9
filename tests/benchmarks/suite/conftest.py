"""A set of a few cells with hardly any steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.suite.cases import BenchmarkSet, load_set

FEW_STEPS = {"n_envs": 4, "hyperparameters": {"n_steps": 8, "batch_size": 16}}
TOY: dict[str, Any] = {
    "sets": {
        "toy": {"seeds": [0, 1], "eval_prompts": 4, "curve_prompts": 4, "curve_points": 2},
    },
    "cases": {
        "labels": {
            "env_id": "Tagging-v0",
            "score": "entity_f1",
            "best": 1.0,
            "steps": 32,
            "algorithms": {"ppo": FEW_STEPS},
            "baselines": ["random"],
        },
    },
}


def write_suite(folder: Path, content: dict[str, Any]) -> Path:
    file = folder / "suite.yml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    return write_suite(tmp_path, TOY)


@pytest.fixture
def toy(toy_file: Path) -> BenchmarkSet:
    return load_set("toy", toy_file)
