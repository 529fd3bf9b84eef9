"""Precision, recall and F1 of entities: a predicted entity is right if its type and both its ends are.

This is ``seqeval``'s ``mode="strict", scheme=IOB2`` (https://github.com/chakki-works/seqeval), written here because a
reward needs nothing else of it and it would bring scikit-learn and SciPy along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lm_envs.errors import ConfigurationError
from lm_envs.tagging.scheme import entities


@dataclass(frozen=True)
class EntityScore:
    """How well entities were found.

    Attributes:
        right: Number of entities that were predicted and are there.
        predicted: Number of predicted entities.
        gold: Number of entities that are there: the ``support``.
    """

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of the predicted entities that is right; 0 where none was predicted."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold entities that was found; 0 where there is none."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 where nothing was predicted and nothing is there."""
        total = self.predicted + self.gold
        return 2 * self.right / total if total else 0.0


def entity_scores(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, EntityScore]:
    """The scores of each type over all sentences together; under ``"all"`` those of all types (the micro average).

    Args:
        gold: Labels of each sentence.
        predicted: Predicted labels of each sentence, as many as gold ones.

    Raises:
        ConfigurationError: Numbers of sentences or of labels differ.
    """
    counts = {name: Counter[str]() for name in ("right", "predicted", "gold")}
    if len(gold) != len(predicted):
        raise ConfigurationError(f"expected labels for {len(gold)} sentences, got {len(predicted)}.")
    for number, (there, found) in enumerate(zip(gold, predicted, strict=True)):
        if len(there) != len(found):
            raise ConfigurationError(f"sentence {number} has {len(there)} gold labels and {len(found)} predicted ones.")
        both = {"gold": set(entities(there)), "predicted": set(entities(found))}
        both["right"] = both["gold"] & both["predicted"]
        for name, counter in counts.items():
            counter.update(entity.type for entity in both[name])
    types = sorted(counts["gold"].keys() | counts["predicted"].keys())
    scores = {kind: EntityScore(*(counts[name][kind] for name in ("right", "predicted", "gold"))) for kind in types}
    return {**scores, "all": EntityScore(*(counts[name].total() for name in ("right", "predicted", "gold")))}
