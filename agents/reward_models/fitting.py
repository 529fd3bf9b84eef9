"""Gradient descent on comparisons, with early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th

from agents.reward_models.comparisons import Comparisons
from agents.reward_models.losses import ComparisonLoss, losses
from lm_envs.errors import ModelError

CHECKS_PER_EPOCH = 4
MAX_GRAD_NORM = 1.0
WARMUP = 0.1  # of all updates
WEIGHT_DECAY = 0.01
_SORTED_TOGETHER = 16  # batches


@dataclass(frozen=True)
class Check:
    """A look at the losses while a model trains.

    Attributes:
        epoch: How much of the data has been seen, in epochs.
        training: Mean loss of the updates since the last look, in nats.
        validation: Loss on the validation data, in nats; None without any.
    """

    epoch: float
    training: float
    validation: float | None


@dataclass(frozen=True)
class Fit:
    """How training went.

    Attributes:
        checks: The losses, in order.
        best: Index of the one whose weights are kept.
        average: The learned score of a text of average quality.
    """

    checks: list[Check]
    best: int
    average: float


def fit(
    scorer: Any,
    data: Comparisons,
    training: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    *,
    epochs: int,
    lr: float,
    batch_size: int,
    patience: int,
    seed: int,
    on_check: Callable[[Check], None] | None = None,
) -> Fit:
    """Train a scorer; it ends with the weights that had the lowest loss on the validation data.

    AdamW with a linear warm-up over the first tenth and a linear decay to 0.

    Args:
        scorer: A :class:`~agents.reward_models.scorers.TextScorer` or another module with its methods.
        data: Comparisons and ratings.
        training: Indices of those to train on.
        validation: Indices of those to validate on; without any, the last weights are kept.
        epochs: How often the training data is seen at most.
        lr: Peak of the learning rate.
        batch_size: Comparisons in an update.
        patience: Epochs without a lower validation loss after which training stops.
        seed: Of the order.
        on_check: Called with each look at the losses.

    Raises:
        ModelError: The loss is not finite.
    """
    objective = ComparisonLoss(scorer, data)
    lengths = _comparison_lengths(scorer.lengths, data)[training]
    rng = np.random.default_rng(seed)
    batches = [batch for _ in range(epochs) for batch in _batches(training, lengths, batch_size, rng)]
    per_epoch = len(batches) // epochs
    update = _updater(objective, len(batches), lr)
    kept = _Kept(objective)
    recent: list[float] = []
    for number, batch in enumerate(batches, start=1):
        recent.append(update(batch))
        if not _is_time_to_look(number, per_epoch):
            continue
        loss = validation_loss(objective, data, validation) if len(validation) else None
        kept.look(Check(number / per_epoch, float(np.mean(recent)), loss))
        recent = []
        if on_check is not None:
            on_check(kept.checks[-1])
        if kept.epochs_ago >= patience:
            break
    kept.restore()
    scorer.finish()
    return Fit(kept.checks, kept.best, float(objective.average.detach()))


class _Kept:
    """The looks at the losses, and the weights at the best one; without validation, at the last one."""

    def __init__(self, objective: ComparisonLoss) -> None:
        self.checks: list[Check] = []
        self.best = 0
        self._objective = objective
        self._weights: dict[str, th.Tensor] = {}

    @property
    def epochs_ago(self) -> float:
        """How long the best look is ago."""
        return self.checks[-1].epoch - self.checks[self.best].epoch

    def look(self, check: Check) -> None:
        """Keep the weights if they are the best so far."""
        self.checks.append(check)
        best = self.checks[self.best].validation
        if len(self.checks) == 1 or check.validation is None or best is None or check.validation < best:
            self.best = len(self.checks) - 1
            self._weights = {name: tensor.detach().clone() for name, tensor in self._objective.state_dict().items()}

    def restore(self) -> None:
        """Go back to the weights that were kept."""
        self._objective.load_state_dict(self._weights)


def _is_time_to_look(number: int, per_epoch: int) -> bool:
    """Whether the update with this number, counted from 1, ends a part of an epoch."""
    parts = min(CHECKS_PER_EPOCH, per_epoch)
    return number * parts // per_epoch > (number - 1) * parts // per_epoch


def _updater(objective: ComparisonLoss, n_updates: int, lr: float) -> Callable[[npt.NDArray[np.int64]], float]:
    """A function that makes one update on a batch and returns its loss."""
    optimizer = th.optim.AdamW(objective.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)
    warmup = max(1, math.ceil(WARMUP * n_updates))
    schedule = th.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (n_updates - step) / max(1, n_updates - warmup))
    )

    def update(batch: npt.NDArray[np.int64]) -> float:
        objective.train()
        optimizer.zero_grad(set_to_none=True)
        loss = objective(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ModelError(f"the loss became {value}. Lower the learning rate (now {lr:g}): --lr {lr / 10:g}")
        loss.backward()
        th.nn.utils.clip_grad_norm_(objective.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        schedule.step()
        return value

    return update


def scores_of_rows(
    scorer: Any, average: float, data: Comparisons, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The scores of the first and of the second texts of comparisons, ``(n,)`` each; of ratings second, the average."""
    texts = np.unique(np.concatenate([data.first[rows], data.second[rows]]))
    texts = texts[texts >= 0]
    table = np.full(len(data.texts) + 1, average)  # NO_TEXT is the last place
    if len(texts):
        table[texts] = scorer.score_all(texts)
    return table[data.first[rows]], table[data.second[rows]]


def validation_loss(objective: ComparisonLoss, data: Comparisons, rows: npt.NDArray[np.int64]) -> float:
    """The mean loss of comparisons, without gradients and without dropout."""
    first, second = scores_of_rows(objective.scorer, float(objective.average.detach()), data, rows)
    return float(losses(first, second, data, rows).mean())


def _comparison_lengths(lengths: npt.NDArray[np.int64], data: Comparisons) -> npt.NDArray[np.int64]:
    """Tokens of the longer text of each comparison."""
    return np.maximum(lengths[data.first], np.where(data.is_rating, 0, lengths[data.second]))


def _batches(
    rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], batch_size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """One epoch in random order; comparisons of similar length share a batch, so that little is padding."""
    order = rng.permutation(len(rows))
    found: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), batch_size * _SORTED_TOGETHER):
        chunk = order[start : start + batch_size * _SORTED_TOGETHER]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        found += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    return (rows[found[i]] for i in rng.permutation(len(found)))
