"""How well a reward model predicts held-out feedback: accuracy, calibration, error of ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.evaluation.estimates import CorpusMetric, Estimate, estimates, ratio
from agents.reward_models.comparisons import Comparisons
from agents.reward_models.losses import losses, win_probabilities

N_BINS = 5
_EDGES = np.linspace(0.5, 1.0, N_BINS + 1)

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Comparisons of which the model is about equally sure.

    Attributes:
        low: Least probability that the text with the higher score is better.
        high: Greatest such probability.
        n: How many comparisons.
        confidence: Mean of the probabilities.
        accuracy: Share of comparisons in which that text is the better one.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities are what they say.

    Attributes:
        error: Expected calibration error: the mean distance of confidence and accuracy, weighted by ``n``.
        bins: The reliability table: bins with at least one comparison.
    """

    error: float
    bins: list[Bin]


@dataclass(frozen=True)
class Measures:
    """What held-out feedback says about a reward model.

    Attributes:
        loss: Mean loss in nats; a model that knows nothing has 0.69 on comparisons.
        accuracy: Share of decided comparisons in which the better text has the higher score; equal scores count half.
            None where there are none. The 95% interval draws prompts, with all their comparisons.
        calibration: Of the probability that the better text wins; None where there are no decided comparisons.
        rating_error: Mean distance of rating and predicted rating, both from 0 to 1; None where there are no ratings.
    """

    loss: float
    accuracy: Estimate | None
    calibration: Calibration | None
    rating_error: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def measure(data: Comparisons, rows: npt.NDArray[np.int64], first: Scores, second: Scores) -> Measures:
    """Measure scores on some of the comparisons and ratings.

    Args:
        data: All comparisons and ratings.
        rows: Indices of those to measure on, ``(n,)``, at least one.
        first: Scores of their first texts, ``(n,)``.
        second: Scores of their second texts, ``(n,)``; of ratings, that of an average text.
    """
    prompts = np.array(data.prompts_of(rows))
    decided, rated = data.is_decided[rows], data.is_rating[rows]
    gaps = first[decided] - second[decided]
    wrong = np.abs(win_probabilities(first[rated], second[rated]) - data.target[rows][rated])
    return Measures(
        loss=float(losses(first, second, data, rows).mean()),
        accuracy=_mean_by_prompt((np.sign(gaps) + 1) / 2, prompts[decided]),
        calibration=calibrate(gaps) if decided.any() else None,
        rating_error=_mean_by_prompt(wrong, prompts[rated]),
    )


def calibrate(gaps: Scores) -> Calibration:
    """The calibration of the probability that the text with the higher score is better.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599: bins of equal width, here from 0.5 to 1.

    Args:
        gaps: Score of the better text minus score of the other, ``(n,)``, at least one.
    """
    confidence = win_probabilities(np.abs(gaps), 0.0)
    right = (np.sign(gaps) + 1) / 2
    places = np.minimum((np.digitize(confidence, _EDGES) - 1), N_BINS - 1)
    bins = [
        Bin(
            low=float(_EDGES[place]),
            high=float(_EDGES[place + 1]),
            n=int((places == place).sum()),
            confidence=float(confidence[places == place].mean()),
            accuracy=float(right[places == place].mean()),
        )
        for place in np.unique(places)
    ]
    error = sum(item.n * abs(item.confidence - item.accuracy) for item in bins) / len(gaps)
    return Calibration(float(error), bins)


def _mean_by_prompt(values: Scores, prompts: Sequence[str] | npt.NDArray[Any]) -> Estimate | None:
    """The mean with an interval that draws prompts, since values of one prompt go together; None without values."""
    if not len(values):
        return None
    _, groups = np.unique(prompts, return_inverse=True)
    sums = np.stack([np.bincount(groups, weights=values), np.bincount(groups)], axis=1)
    found = estimates({"mean": CorpusMetric(sums.astype(np.float64), ratio)})["mean"]
    return found if len(sums) > 1 else Estimate(found.mean)
