"""Schedules written as text."""

from __future__ import annotations

import pytest

from agents.recipes.schedules import with_schedules
from agents.recipes.train_config import make_config
from lm_envs.errors import ConfigurationError


def test_a_text_becomes_a_falling_line():
    schedule = with_schedules({"learning_rate": "lin_2e-3"})["learning_rate"]
    assert schedule(1.0) == pytest.approx(2e-3)
    assert schedule(0.5) == pytest.approx(0.525 * 2e-3)
    assert schedule(0.0) == pytest.approx(1e-4)


def test_everything_else_stays():
    given = {"learning_rate": 1e-3, "clip_range": 0.2, "batch_size": 64, "optimizer": "lin_1"}
    assert with_schedules(given) == given


@pytest.mark.parametrize("text", ["fast", "lin_", "lin_x", "lin_-1", "cos_1e-3", "1e-3"])
def test_other_texts_are_refused(text):
    with pytest.raises(ConfigurationError, match="'lin_NUMBER'.*got"):
        with_schedules({"learning_rate": text})


def test_models_have_their_own_learning_rates():
    rates = [make_config(model=model).hyperparameters["learning_rate"] for model in ("tiny", "smollm2-135m")]
    assert [float(rate.removeprefix("lin_")) for rate in rates] == [2e-3, 1e-5]
    assert make_config(hyperparameters={"learning_rate": 0.1}).hyperparameters["learning_rate"] == 0.1
