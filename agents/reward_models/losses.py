"""One loss for comparisons, ties and ratings: the cross entropy of a Bradley-Terry model, in nats.

A comparison is won with probability ``sigmoid(score of the first - score of the second - margin)`` (Bradley and Terry
1952, https://doi.org/10.2307/2334029; margins as in Touvron et al. 2023, https://arxiv.org/abs/2307.09288, equation 2).
A tie is half a win for each (Christiano et al. 2017, https://arxiv.org/abs/1706.03741, section 2.2.3). A rating from 0
to 1 is the probability of winning against an imagined text of average quality, whose score is learned: logistic
regression, of fractions too (Papke and Wooldridge 1996,
https://doi.org/10.1002/(SICI)1099-1255(199611)11:6%3C619::AID-JAE418%3E3.0.CO;2-1). So comparisons and ratings share
one scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th
from torch import nn
from torch.nn import functional

from agents.reward_models.comparisons import Comparisons


class ComparisonLoss(nn.Module):
    """The loss of some of the comparisons.

    Args:
        scorer: Gives the scores ``(n,)`` of texts by their numbers.
        data: The comparisons and ratings.

    Attributes:
        average: The learned score of a text of average quality, which ratings are compared with.
    """

    def __init__(self, scorer: Any, data: Comparisons) -> None:
        super().__init__()
        self.scorer = scorer
        self.average = nn.Parameter(th.tensor(_first_average(data)))
        self._data = data

    def forward(self, rows: npt.NDArray[np.int64]) -> th.Tensor:
        """The mean loss of these comparisons and ratings, differentiable.

        Args:
            rows: Their indices; every text of theirs is scored once.
        """
        data = self._data
        texts, places = np.unique(np.concatenate([data.first[rows], data.second[rows]]), return_inverse=True)
        n_missing = int(texts[0] < 0)  # sorted: NO_TEXT comes first
        scores = self.scorer(texts[n_missing:]).float()
        average = self.average.to(scores.device)
        ranked = th.cat([average.reshape(1)[:n_missing], scores])[th.as_tensor(places, device=scores.device)]
        first, second = ranked.split(len(rows))
        margin, target = (th.as_tensor(column[rows], device=scores.device) for column in (data.margin, data.target))
        return functional.binary_cross_entropy_with_logits(first - second - margin, target)


def _first_average(data: Comparisons) -> float:
    """The average at which scores of 0 explain the mean rating."""
    ratings = data.target[data.is_rating]
    mean = float(np.clip(ratings.mean(), 0.01, 0.99)) if len(ratings) else 0.5
    return -float(np.log(mean / (1 - mean)))


def win_probabilities(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64] | float
) -> npt.NDArray[np.float64]:
    """The probability that texts with the scores ``first`` beat those with the scores ``second``, ``(n,)``."""
    return 0.5 * (1 + np.tanh((first - second) / 2))  # the logistic function, which cannot overflow this way


def losses(
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    data: Comparisons,
    rows: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """The loss of each comparison, as :class:`ComparisonLoss` has it.

    Args:
        first: Scores of the first texts, ``(n,)``.
        second: Scores of the second texts, ``(n,)``; of ratings, that of an average text.
        data: All comparisons.
        rows: Indices of those that the scores are of, ``(n,)``.
    """
    logits = first - second - data.margin[rows]
    return np.logaddexp(0.0, logits) - data.target[rows] * logits
