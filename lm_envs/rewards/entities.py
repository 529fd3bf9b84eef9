"""Are the labels of a sentence's words right? Entity F1, and accuracy word by word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register
from lm_envs.tagging.scores import entity_scores

Labels = Sequence[Sequence[str] | None]


@register("entity_f1")
@dataclass(frozen=True)
class EntityF1:
    """F1 of the entities of a sentence; an entity is right if its type and both its ends are. Range 0 to 1.

    Formula: ``2 * right / (predicted + gold)``, numbers of entities; 1 for a sentence without entities in which none is
    predicted, yet 0 without any label. Words that are not labelled are no entities. An ``I-`` without its ``B-`` begins
    none, as in ``seqeval``'s strict mode. Reads the columns ``labels`` and ``gold``, which ``Tagging-v0`` brings.

    References:
        Tjong Kim Sang and De Meulder 2003, https://aclanthology.org/W03-0419/
    """

    __name__ = "entity_f1"
    partial = False

    def __call__(
        self, prompts: Sequence[str], completions: Texts, labels: Labels, gold: Labels, **columns: Any
    ) -> list[float]:
        """The F1 of each sentence."""
        return [_f1(list(found or ()), list(there or ())) for found, there in zip(labels, gold, strict=True)]


def _f1(found: list[str], gold: list[str]) -> float:
    score = entity_scores([gold], [(found + ["O"] * len(gold))[: len(gold)]])["all"]
    return score.f1 if score.predicted or score.gold or not found else 1.0


@register("token_accuracy")
@dataclass(frozen=True)
class TokenAccuracy:
    """Share of the words whose label is right, paid word by word: a step reward. Range 0 to 1 over a sentence.

    Formula: ``1 / n_words`` for a label that is the gold one, else 0. Reads the columns ``labels``, those so far, and
    ``gold``, which ``Tagging-v0`` brings.
    """

    __name__ = "token_accuracy"
    per_step = True

    def __call__(
        self, prompts: Sequence[str], completions: Texts, labels: Labels, gold: Labels, **columns: Any
    ) -> list[float]:
        """What each sentence's last label is worth."""
        return [_last_is_right(found or (), there or ()) for found, there in zip(labels, gold, strict=True)]


def _last_is_right(found: Sequence[str], gold: Sequence[str]) -> float:
    right = 0 < len(found) <= len(gold) and found[-1] == gold[len(found) - 1]
    return 1 / len(gold) if right else 0.0
