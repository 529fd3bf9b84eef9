"""Feedback whose hidden reward is known, and reward models trained on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agents.feedback.examples import Feedback, Preference, Rating

WORDS = ("the", "a", "is", "was", "good", "bad")


def hidden_reward(completion: str) -> int:
    return completion.count("good") - completion.count("bad")


def make_feedback(n: int = 200, n_ratings: int = 0, seed: int = 0) -> Feedback:
    """Comparisons in which more good words and fewer bad ones win; ratings of 1 where there are more good ones."""
    rng = np.random.default_rng(seed)
    feedback = Feedback()
    while len(feedback.preferences) < n or len(feedback.ratings) < n_ratings:
        prompt = f"was it {rng.integers(1000)}?"
        texts = ["".join(f" {word}" for word in rng.choice(WORDS, size=rng.integers(2, 7))) for _ in range(2)]
        worse, better = sorted(texts, key=hidden_reward)
        if hidden_reward(worse) == hidden_reward(better):
            continue
        if len(feedback.preferences) < n:
            feedback.preferences.append(Preference(prompt, better, worse))
        if len(feedback.ratings) < n_ratings:
            feedback.ratings.append(Rating(prompt, better, float(hidden_reward(better) > 0)))
    return feedback


@pytest.fixture(scope="session")
def feedback_of() -> Callable[..., Feedback]:
    """``feedback_of(n=200, n_ratings=0, seed=0)``."""
    return make_feedback


@pytest.fixture(scope="session")
def causal_reward_model(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> Path:
    """A trained reward model on a causal body (shared, not to be changed)."""
    from agents.reward_models.training import train_reward_model

    folder = tmp_path_factory.mktemp("reward") / "causal"
    train_reward_model(make_feedback(), folder, lm_folder, lr=3e-3, epochs=3, device="cpu")
    return folder


@pytest.fixture(scope="session")
def encoder_reward_model(tmp_path_factory: pytest.TempPathFactory, bert_folder: str) -> Path:
    """A trained reward model on an encoder (shared, not to be changed)."""
    from agents.reward_models.training import train_reward_model

    folder = tmp_path_factory.mktemp("reward") / "encoder"
    train_reward_model(make_feedback(100), folder, bert_folder, lr=1e-3, epochs=1, device="cpu")
    return folder


@pytest.fixture(scope="session")
def ensemble(tmp_path_factory: pytest.TempPathFactory, lm_folder: str) -> Path:
    """An ensemble of two (shared, not to be changed)."""
    from agents.reward_models.ensemble import train_reward_ensemble

    folder = tmp_path_factory.mktemp("reward") / "ensemble"
    train_reward_ensemble(make_feedback(64), folder, 2, body=lm_folder, lr=1e-3, epochs=1, device="cpu")
    return folder
