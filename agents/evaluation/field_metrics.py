"""The metrics that the literature reports for an environment's task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.evaluation.answer_metrics import answer_metrics
from agents.evaluation.entity_metrics import entity_metrics
from agents.evaluation.estimates import CorpusMetric
from agents.evaluation.overlap_metrics import overlap_metrics

if TYPE_CHECKING:
    from agents.evaluation.generation import Completion


def field_metrics(completions: Sequence[Completion]) -> dict[str, CorpusMetric]:
    """Those of tagging, of question answering, or of texts with references, by what the episodes tell; else none.

    Args:
        completions: Episodes of one environment, at least one.
    """
    if is_tagging(completions):
        return entity_metrics(completions)
    if all("answer" in item.outcome for item in completions):
        return answer_metrics(completions)
    return overlap_metrics(completions)


def is_tagging(completions: Sequence[Completion]) -> bool:
    """Whether words were labelled."""
    return all("gold" in item.outcome for item in completions)


def is_written(completions: Sequence[Completion]) -> bool:
    """Whether the agent wrote texts, instead of labelling words or choosing."""
    return not is_tagging(completions) and any(item.stop_reason != "choice" for item in completions)
