from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from agents.feedback.simulated import SimulatedAnnotator
from agents.feedback.store import FeedbackStore
from agents.recipes.train_config import make_config
from agents.rlhf import FeedbackRound, feedback_round
from agents.training_runs import training
from lm_envs.errors import UnknownNameError
from lm_envs.models import load_language_model

SETTINGS: dict[str, Any] = {
    "n_prompts": 30,
    "task": "reviews",
    "steps": 256,
    "n_envs": 8,
    "eval_prompts": 4,
    "kl_coef": 0.1,
    "hyperparameters": {"batch_size": 64},
    "device": "cpu",
}


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    return FeedbackStore(tmp_path / "feedback.sqlite")


def go_round(path: Path, store: FeedbackStore, start: str = "tiny", **changes: Any) -> FeedbackRound:
    annotator = SimulatedAnnotator("sentiment", temperature=0.0, tie_margin=0.01)
    return feedback_round(path, start, store, annotator.answer_store, **{**SETTINGS, **changes})


@pytest.mark.slow
def test_two_rounds(tmp_path: Path, store: FeedbackStore) -> None:
    first = go_round(tmp_path / "1", store)
    n_items = len(store.items())
    assert 25 <= n_items <= 30 and len(store.current_answers()) == n_items
    assert json.loads(first.run.config.read_text())["reward"] == f"model:{first.reward_model}"
    second = go_round(tmp_path / "2", store, first.model, seed=1)
    assert len(store.items()) > n_items, "the second round asks about its own completions"
    counts = [json.loads((done.reward_model / "report.json").read_text())["training"] for done in (first, second)]
    assert counts[1]["comparisons"] > counts[0]["comparisons"], "the second reward model learns from both rounds"
    weights = [load_language_model(name).state_dict() for name in ("tiny", first.model, second.model)]
    moved = [max(float((a[k] - b[k]).abs().max()) for k in a) for a, b in itertools.pairwise(weights)]
    assert min(moved) > 1e-4, "a model made of tiny is trained at tiny's learning rate"


@pytest.mark.slow
def test_an_interrupted_round_goes_on(tmp_path: Path, store: FeedbackStore) -> None:
    def leave(store: FeedbackStore) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        feedback_round(tmp_path / "1", "tiny", store, leave, **SETTINGS)
    items = store.items()
    assert items and not (tmp_path / "1" / "reward_model").exists()
    stages: list[str] = []
    done = go_round(tmp_path / "1", store, on_stage=stages.append)
    assert store.items() == items, "the same completions are sampled again"
    assert stages[-1] == "training the policy" and done.run.model.exists()
    done.run.model.unlink()
    stages.clear()
    go_round(tmp_path / "1", store, on_stage=stages.append)
    assert stages == ["going on with the policy's training"] and done.run.model.exists()


@pytest.mark.slow
def test_an_ensemble_of_reward_models(tmp_path: Path, store: FeedbackStore) -> None:
    done = go_round(tmp_path / "1", store, n_reward_models=2)
    assert sorted(path.name for path in done.reward_model.glob("member-*")) == ["member-0", "member-1"]


def test_divergence_is_measured_from_the_reference(lm_folder: str) -> None:
    config = make_config("TextGen-v0", task="reviews", model=lm_folder, kl_reference="tiny", kl_coef=0.1)
    assert training._penalty(config).model_name == "tiny"
    assert training._penalty(make_config("TextGen-v0", task="reviews", kl_coef=0.1)).model_name is None


def test_a_mistake_shows_before_anybody_is_asked(tmp_path: Path, store: FeedbackStore) -> None:
    with pytest.raises(UnknownNameError, match="kl_tagret.*Did you mean 'kl_target'"):
        go_round(tmp_path / "1", store, kl_tagret=3.0)
    assert not store.items() and not (tmp_path / "1").exists()


@pytest.mark.slow
def test_a_run_without_checkpoint_begins_anew(tmp_path: Path, store: FeedbackStore) -> None:
    done = go_round(tmp_path / "1", store)
    done.run.model.unlink()
    for checkpoint in done.run.checkpoints.iterdir():
        checkpoint.unlink()
    go_round(tmp_path / "1", store)
    assert done.run.model.exists()
