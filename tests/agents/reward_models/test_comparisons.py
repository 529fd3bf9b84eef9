from __future__ import annotations

import math

import numpy as np
import pytest
import torch as th
from torch import nn

from agents.feedback.examples import Demonstration, Feedback, Preference, Rating
from agents.reward_models.comparisons import NO_TEXT, Comparisons, compile_comparisons, split_by_prompt
from agents.reward_models.fitting import fit, scores_of_rows
from agents.reward_models.losses import ComparisonLoss, losses, win_probabilities
from agents.reward_models.measuring import calibrate, measure
from lm_envs.errors import ConfigurationError, DataError, ModelError


class Table(nn.Module):
    """A score for each text, or a linear function of its features."""

    def __init__(self, features: th.Tensor) -> None:
        super().__init__()
        self.features = features
        self.weight = nn.Parameter(th.zeros(features.shape[1]))
        self.lengths = np.ones(len(features), dtype=np.int64)

    def forward(self, texts: np.ndarray) -> th.Tensor:
        return self.features[texts] @ self.weight

    def score_all(self, texts: np.ndarray) -> np.ndarray:
        return self(texts).detach().double().numpy()

    def finish(self) -> None:
        pass


FEEDBACK = Feedback(
    [Preference("p", "b", "a"), Preference("p", "c", "a", margin=0.5), Preference("q", "b", "a", tie=True)],
    [Rating("q", "b", 0.75)],
    [Demonstration("p", "z")],
)


def test_every_text_has_one_number() -> None:
    data = compile_comparisons(FEEDBACK)
    assert data.texts == [("p", "b"), ("p", "a"), ("p", "c"), ("q", "b"), ("q", "a")]
    assert data.first.tolist() == [0, 2, 3, 3] and data.second.tolist() == [1, 1, 4, NO_TEXT]
    assert data.margin.tolist() == [0, 0.5, 0, 0] and data.target.tolist() == [1, 1, 0.5, 0.75]
    assert data.is_rating.tolist() == [False, False, False, True]
    assert data.is_decided.tolist() == [True, True, False, False]


def test_losses_are_those_of_the_formulas() -> None:
    data = compile_comparisons(FEEDBACK)
    scorer = Table(th.eye(5))
    with th.no_grad():
        scorer.weight.copy_(th.tensor([0.3, -0.2, 1.0, 2.0, -1.0]))
    objective = ComparisonLoss(scorer, data)
    assert float(objective.average.detach()) == pytest.approx(-math.log(3))  # sigmoid(0 - average) is the mean rating

    def nats(logit: float) -> float:
        return math.log1p(math.exp(-logit))

    rated = 2.0 + math.log(3)
    expected = [nats(0.5), nats(1.2 - 0.5), (nats(3) + nats(-3)) / 2, 0.75 * nats(rated) + 0.25 * nats(-rated)]
    for row, loss in enumerate(expected):
        assert float(objective(np.array([row])).detach()) == pytest.approx(loss, rel=1e-5)
    rows = np.arange(4)
    assert float(objective(rows).detach()) == pytest.approx(np.mean(expected), rel=1e-5)
    first, second = scores_of_rows(scorer, -math.log(3), data, rows)
    assert losses(first, second, data, rows) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("feedback", "message"),
    [
        (Feedback(), "expected comparisons or ratings.*got none"),
        (Feedback(demonstrations=[Demonstration("p", "c")]), "got 1 demonstrations only"),
    ],
)
def test_feedback_that_teaches_nothing(feedback: Feedback, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compile_comparisons(feedback)


def test_no_prompt_is_on_both_sides_and_stays_on_its_side() -> None:
    def held_out(n: int, seed: int) -> set[str]:
        pairs = [Preference(f"prompt {i}", "a", f"b{j}") for i in range(n) for j in range(3)]
        data = compile_comparisons(Feedback(pairs, [Rating(f"prompt {i}", "c", 0.5) for i in range(n)]))
        rows = split_by_prompt(data, 0.2, seed)
        assert sorted(np.concatenate(rows)) == list(range(len(data)))
        training, validation = (set(data.prompts_of(side)) for side in rows)
        assert not training & validation
        return validation

    found = held_out(300, seed=1)
    assert 40 <= len(found) <= 80
    assert found == {prompt for prompt in held_out(400, seed=1) if int(prompt.split()[1]) < 300}
    assert held_out(300, seed=2) != found


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_both_sides_have_a_prompt(share: float) -> None:
    data = compile_comparisons(Feedback([Preference(p, "a", "b") for p in "xyz"]))
    assert all(len(side) for side in split_by_prompt(data, share, seed=0))


def test_what_cannot_be_divided() -> None:
    one = compile_comparisons(Feedback([Preference("p", "a", "b"), Preference("p", "a", "c")]))
    with pytest.raises(DataError, match="expected at least two prompts.*got 1.*--validation 0"):
        split_by_prompt(one, 0.1, seed=0)
    assert [side.tolist() for side in split_by_prompt(one, 0, seed=0)] == [[0, 1], []]
    for share in (1.0, -0.1, True):
        with pytest.raises(ConfigurationError, match="share for validation has to be from 0 to below 1"):
            split_by_prompt(one, share, seed=0)


def linear_data(n: int, n_features: int = 6) -> tuple[Table, Comparisons, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=n_features)
    features = rng.normal(size=(2 * n, n_features))
    scores = 2 * features @ truth
    wins = rng.random(n) < win_probabilities(scores[:n], scores[n:])
    pairs = np.where(wins, [np.arange(n), np.arange(n) + n], [np.arange(n) + n, np.arange(n)])
    texts = [(f"p{i % n}", f"c{i}") for i in range(2 * n)]
    data = Comparisons(texts, pairs[0], pairs[1], np.zeros(n, dtype=np.float32), np.ones(n, dtype=np.float32))
    return Table(th.tensor(features, dtype=th.float32)), data, truth


FITTING = {"epochs": 30, "lr": 0.05, "batch_size": 32, "patience": 3, "seed": 0}


def test_a_linear_reward_is_recovered_from_noisy_comparisons() -> None:
    scorer, data, truth = linear_data(1000)
    training, held_out = np.arange(800), np.arange(800, 1000)
    found = fit(scorer, data, training, held_out, **FITTING)
    weight = scorer.weight.detach().numpy()
    assert weight @ truth / np.linalg.norm(weight) / np.linalg.norm(truth) > 0.98
    true_gaps = scorer.features.numpy() @ truth
    first, second = scores_of_rows(scorer, found.average, data, held_out)
    agree = np.sign(first - second) == np.sign(true_gaps[data.first[held_out]] - true_gaps[data.second[held_out]])
    assert agree.mean() >= 0.9
    measures = measure(data, held_out, first, second)
    assert measures.loss == pytest.approx(found.checks[found.best].validation)
    assert measures.loss == min(check.validation for check in found.checks)
    assert measures.calibration is not None and measures.calibration.error < 0.08


def test_training_stops_early_with_the_best_weights() -> None:
    scorer, data, _ = linear_data(24, n_features=40)  # more features than comparisons: it learns them by heart
    found = fit(scorer, data, np.arange(12), np.arange(12, 24), **{**FITTING, "patience": 1, "batch_size": 4})
    assert found.checks[-1].epoch < 30
    assert found.checks[-1].epoch - found.checks[found.best].epoch >= 1
    first, second = scores_of_rows(scorer, found.average, data, np.arange(12, 24))
    assert losses(first, second, data, np.arange(12, 24)).mean() == pytest.approx(found.checks[found.best].validation)


def test_a_loss_that_explodes_is_an_error() -> None:
    scorer, data, _ = linear_data(8)
    scorer.features[:] = math.inf
    with pytest.raises(ModelError, match="the loss became nan. Lower the learning rate"):
        fit(scorer, data, np.arange(4), np.arange(4, 8), **FITTING)


def test_calibration_by_hand() -> None:
    gaps = np.array([0.1, -0.1, 3.0, 3.0, 3.0, -3.0])
    found = calibrate(gaps)
    sure, unsure = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-0.1))
    assert [(item.n, item.accuracy) for item in found.bins] == [(2, 0.5), (4, 0.75)]
    assert [item.confidence for item in found.bins] == pytest.approx([unsure, sure])
    assert found.error == pytest.approx((2 * (unsure - 0.5) + 4 * (sure - 0.75)) / 6)


def test_equal_scores_count_half_and_ties_not_at_all() -> None:
    data = compile_comparisons(FEEDBACK)
    rows = np.arange(4)
    measures = measure(data, rows, np.array([1.0, 0.0, 5.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0]))
    assert measures.accuracy is not None and measures.accuracy.mean == 0.75
    assert measures.accuracy.low is None  # one prompt only
    assert measures.rating_error is not None and measures.rating_error.mean == pytest.approx(0.25)
    ratings = measure(data, rows[3:], np.array([0.0]), np.array([0.0]))
    assert ratings.accuracy is None and ratings.calibration is None
