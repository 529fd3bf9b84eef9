"""A learned cell: one training run from the settings of its recipe, in a folder that is removed afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import benchmarks.suite.reasoning  # noqa: F401 - registers a data set
from agents.recipes.train_config import TrainConfig
from agents.training_runs.callbacks import ValidationCallback
from agents.training_runs.folder import RunFolder
from agents.training_runs.logs import STEP_COLUMN, read_columns
from agents.training_runs.training import EVALUATION_SEED, train
from benchmarks.suite.cases import Cell
from benchmarks.suite.texts import N_TEXTS, shown, text_of


def learn(cell: Cell) -> dict[str, Any]:
    """Train, and pack what the run's folder holds.

    Args:
        cell: A learned cell.

    Returns:
        ``steps``, ``metrics``, ``curve`` and ``texts`` of the cell's result.

    Raises:
        LMEnvsError: Something in the cell's settings cannot work.
    """
    config = cell.train_config()
    with tempfile.TemporaryDirectory() as scratch:
        run = train(config, Path(scratch) / "run", callbacks=[_validation(cell, config)])
        evaluation = run.read_evaluation()
        curve = _curve(run, cell.case.score)
    after = evaluation["after"]
    return {
        "steps": after["step"],
        "metrics": after["metrics"],
        "curve": curve,
        "texts": _texts(evaluation["before"]["examples"], after["examples"]),
    }


def _validation(cell: Cell, config: TrainConfig) -> ValidationCallback:
    """What measures the points of the curve; the last one comes when training ends."""
    every = -(-config.steps // max(1, cell.measuring.curve_points - 1))
    return ValidationCallback(config, every, n_prompts=cell.measuring.curve_prompts, seed=EVALUATION_SEED)


def _curve(run: RunFolder, score: str) -> list[dict[str, float]]:
    found = read_columns(run.progress, STEP_COLUMN, f"eval/{score}")
    return [{"step": int(step), "score": value} for step, value in found]


def _texts(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was written for the same prompts by the untrained and by the trained model."""
    pairs = list(zip(before, after, strict=True))[:N_TEXTS]
    return [{**shown(new), "before": text_of(old), "reward_before": old["reward"]} for old, new in pairs]
