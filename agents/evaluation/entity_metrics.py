"""Metrics of tagging: precision, recall and F1 of entities over all sentences, all together and type by type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.evaluation.estimates import Array, CorpusMetric, Estimate, estimates, ratio
from lm_envs.tagging.scores import entity_scores

if TYPE_CHECKING:
    from agents.evaluation.generation import Completion

MEASURES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class TypeScore:
    """A row of the report.

    Attributes:
        precision: Share of the predicted entities that is right.
        recall: Share of the gold entities that was found.
        f1: The harmonic mean of both.
        support: Number of gold entities.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**{name: getattr(self, name).to_dict() for name in MEASURES}, "support": self.support}


def entity_metrics(completions: Sequence[Completion]) -> dict[str, CorpusMetric]:
    """``token_accuracy``, and ``entity_precision``, ``entity_recall``, ``entity_f1`` of all types (the micro average).

    They are those of the whole corpus, as ``seqeval`` has them in its strict mode, not means over sentences; that is
    how the reward ``entity_f1`` of a sentence differs.

    Args:
        completions: Episodes of ``Tagging-v0``.
    """
    _, counts = _counts(completions)
    words = [[there == found for there, found in zip(*_labels(item), strict=True)] for item in completions]
    accuracy = np.array([[sum(right), len(right)] for right in words], dtype=np.float64)
    micro = counts.sum(axis=1)
    return {
        "token_accuracy": CorpusMetric(accuracy, ratio),
        **{f"entity_{name}": CorpusMetric(micro, partial(_measure, name)) for name in MEASURES},
    }


def entity_report(completions: Sequence[Completion], seed: int = 0) -> dict[str, TypeScore]:
    """Precision, recall, F1 and support by type, then under ``micro_avg``, ``macro_avg`` and ``weighted_avg``.

    The rows are those of ``seqeval``'s ``classification_report``: the macro average is the mean over types, and the
    weighted one takes each type as often as it has gold entities.

    Args:
        completions: Episodes of ``Tagging-v0``.
        seed: Seed of the resampling of sentences.
    """
    types, counts = _counts(completions)
    flat = counts.reshape(len(counts), -1)
    metrics: dict[tuple[str, str], CorpusMetric] = {}
    for name in MEASURES:
        for number, kind in enumerate(types):
            metrics[kind, name] = CorpusMetric(counts[:, number], partial(_measure, name))
        metrics["micro_avg", name] = CorpusMetric(counts.sum(axis=1), partial(_measure, name))
        metrics["macro_avg", name] = CorpusMetric(flat, partial(_average, name, False))
        metrics["weighted_avg", name] = CorpusMetric(flat, partial(_average, name, True))
    found = estimates(metrics, seed)
    support = counts[..., 2].sum(axis=0).astype(int).tolist()
    rows = {
        **dict(zip(types, support, strict=True)),
        **dict.fromkeys(("micro_avg", "macro_avg", "weighted_avg"), sum(support)),
    }
    return {
        kind: TypeScore(found[kind, "precision"], found[kind, "recall"], found[kind, "f1"], number)
        for kind, number in rows.items()
    }


def _counts(completions: Sequence[Completion]) -> tuple[list[str], Array]:
    """The types, and how many entities are right, predicted and gold: ``(n_sentences, n_types, 3)``."""
    scores = [entity_scores([gold], [found]) for gold, found in map(_labels, completions)]
    types = sorted({kind for score in scores for kind in score} - {"all"})
    counts = np.zeros((len(scores), len(types), 3))
    for row, score in enumerate(scores):
        for number, kind in enumerate(types):
            if kind in score:
                counts[row, number] = score[kind].right, score[kind].predicted, score[kind].gold
    return types, counts


def _labels(item: Completion) -> tuple[list[str], list[str]]:
    return item.outcome["gold"], item.outcome["labels"]


def _measure(name: str, sums: Array) -> Array:
    """As :class:`lm_envs.tagging.scores.EntityScore` has it, of sums ``(..., 3)``; 0 where there is nothing."""
    right, predicted, gold = np.moveaxis(sums, -1, 0)
    below = {"precision": predicted, "recall": gold, "f1": (predicted + gold) / 2}[name]
    return np.divide(right, below, out=np.zeros(np.shape(right)), where=below > 0)


def _average(name: str, weighted: bool, sums: Array) -> Array:
    """The mean over the types that are gold or predicted, of sums ``(..., 3 * n_types)``; 0 where there is none."""
    by_type = sums.reshape(*sums.shape[:-1], -1, 3)
    weights = by_type[..., 2] if weighted else (by_type[..., 1:].sum(axis=-1) > 0).astype(np.float64)
    total = weights.sum(axis=-1)
    above = (weights * _measure(name, by_type)).sum(axis=-1)
    return np.divide(above, total, out=np.zeros(np.shape(total)), where=total > 0)
