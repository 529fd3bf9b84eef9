"""Metrics of summarisation and translation: ROUGE, chrF and BLEU of texts that have references."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.evaluation.estimates import Array, CorpusMetric, mean_of

if TYPE_CHECKING:
    from agents.evaluation.generation import Completion

BLEU_ORDERS = 4
CHRF_ORDERS = 6
_BETA = 2  # chrF weighs recall higher


def overlap_metrics(completions: Sequence[Completion]) -> dict[str, CorpusMetric]:
    """``rouge1``, ``rouge2``, ``rougeL``, ``chrf`` and ``bleu``, as far as their packages are installed; all 0 to 1.

    ROUGE is the mean over texts of the rewards of these names. chrF and BLEU are ``sacrebleu``'s of the whole corpus
    with its default settings, divided by 100: n-grams are counted over all texts, as publications have them.

    Args:
        completions: Episodes of which some have references; the others do not count.

    References:
        Lin 2004, https://aclanthology.org/W04-1013; Popovic 2015, https://aclanthology.org/W15-3049;
        Papineni et al. 2002, https://aclanthology.org/P02-1040
    """
    references = [_references(item) for item in completions]
    texts = [item.completion.strip() for item in completions]
    if not any(references):
        return {}
    metrics: dict[str, CorpusMetric] = {}
    if importlib.util.find_spec("rouge_score") is not None:
        metrics |= {name: mean_of(_rouge(name, texts, references)) for name in ("rouge1", "rouge2", "rougeL")}
    if importlib.util.find_spec("sacrebleu") is not None:
        metrics["chrf"] = CorpusMetric(_statistics(_chrf_counts, texts, references, 3 * CHRF_ORDERS), _chrf)
        metrics["bleu"] = CorpusMetric(_statistics(_bleu_counts, texts, references, 2 * BLEU_ORDERS + 2), _bleu)
    return metrics


def _references(item: Completion) -> list[str]:
    """The references of an episode that are not blank."""
    given = item.outcome.get("reference", [])
    return [text.strip() for text in ([given] if isinstance(given, str) else given) if text.strip()]


def _rouge(name: str, texts: Sequence[str], references: Sequence[list[str]]) -> list[float | None]:
    from lm_envs.rewards import get

    reward: Any = get(name)
    return list(reward(prompts=[""] * len(texts), completions=texts, reference=references))


def _statistics(count: Any, texts: Sequence[str], references: Sequence[list[str]], width: int) -> Array:
    """What each text adds ``(n, width)``; zeros for those without references."""
    nothing = [0.0] * width
    rows = [count(text, golds) if golds else nothing for text, golds in zip(texts, references, strict=True)]
    return np.array(rows, dtype=np.float64)


def _bleu_counts(text: str, references: list[str]) -> list[float]:
    """Right n-grams and all n-grams of each order, length, length of the closest reference."""
    from sacrebleu.metrics import BLEU

    score = BLEU(effective_order=True).sentence_score(text, references)
    return [*score.counts, *score.totals, score.sys_len, score.ref_len]


def _bleu(sums: Array) -> Array:
    """BLEU of sums ``(..., 10)``, with exponential smoothing."""
    right, total = sums[..., :BLEU_ORDERS], sums[..., BLEU_ORDERS : 2 * BLEU_ORDERS]
    length, wanted = sums[..., -2], sums[..., -1]
    halvings = 2.0 ** np.cumsum(right == 0, axis=-1)
    precisions = np.where(right > 0, right, 1 / halvings) / np.maximum(total, 1)
    brevity = np.exp(np.minimum(0.0, 1 - wanted / np.maximum(length, 1)))
    defined = (total > 0).all(axis=-1) & (right > 0).any(axis=-1)
    return np.where(defined, brevity * np.exp(np.log(precisions).mean(axis=-1)), 0.0)


def _chrf_counts(text: str, references: list[str]) -> list[float]:
    """N-grams of the text, of the reference, and of both, for each order; of the reference that fits best."""
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    written = extract_all_char_ngrams(text, CHRF_ORDERS)
    counted = [_shared(written, extract_all_char_ngrams(gold, CHRF_ORDERS)) for gold in references]
    return max(counted, key=lambda counts: float(_chrf(np.array(counts))))


def _shared(written: Sequence[Counter[str]], gold: Sequence[Counter[str]]) -> list[float]:
    pairs = zip(written, gold, strict=True)
    return [n for own, its in pairs for n in (own.total() if its else 0, its.total(), (own & its).total())]


def _chrf(sums: Array) -> Array:
    """F2 of the mean precision and the mean recall over the orders that both sides have, of sums ``(..., 18)``."""
    written, gold, both = np.moveaxis(sums.reshape(*sums.shape[:-1], CHRF_ORDERS, 3), -1, 0)
    counts = (written > 0) & (gold > 0)
    orders = np.maximum(counts.sum(axis=-1), 1)
    precision = (counts * both / np.maximum(written, 1)).sum(axis=-1) / orders
    recall = (counts * both / np.maximum(gold, 1)).sum(axis=-1) / orders
    below = _BETA**2 * precision + recall
    score: Array = np.divide((1 + _BETA**2) * precision * recall, below, out=np.zeros(np.shape(below)), where=below > 0)
    return score
