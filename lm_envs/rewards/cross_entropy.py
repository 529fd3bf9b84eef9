"""Cross-entropy between the words of a completion and those of a reference text."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from lm_envs.rewards.reference import ReferenceReward
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import ngrams_of, require_positive_integer, words_of


@register("cross_entropy")
@dataclass(frozen=True)
class CrossEntropy(ReferenceReward):
    """How well the completion's words predict the reference's words. Range 0 to 1.

    Let ``q`` and ``p`` be the relative frequencies of n-grams of words in the reference and in the completion
    and ``H(q, m) = -sum_w q(w) log m(w)`` the cross-entropy of the reference under ``m = (p + q) / 2``. The
    score is ``1 - (H(q, m) - H(q, q)) / log 2``, averaged over the orders 1 to ``order`` that the reference
    has. By Gibbs' inequality it is 1 only if the frequencies are equal; it is 0 if the texts share no word.

    The mixture ``m`` keeps the cross-entropy finite without a smoothing constant: under ``p`` itself one
    missing word would make it infinite. No language model is involved; see ``fluency`` for one. The best
    of several references counts.

    Args:
        column: The column with the references.
        order: The longest n-grams; 1 ignores the words' order altogether.

    References:
        Lin 1991 (the K directed divergence), https://doi.org/10.1109/18.61115
    """

    __name__ = "cross_entropy"
    order: int = 2

    def __post_init__(self) -> None:
        """Check ``order``."""
        require_positive_integer(self.__name__, "order", self.order)

    def score(self, completion: str, references: list[str]) -> float:
        """The score of one completion against the best reference."""
        words = words_of(completion)
        return max(self._against(words, words_of(reference)) for reference in references)

    def _against(self, words: list[str], reference: list[str]) -> float:
        orders = range(1, min(self.order, len(reference)) + 1)
        scores = [1 - _divergence(ngrams_of(reference, n), ngrams_of(words, n)) for n in orders]
        return sum(scores) / len(scores) if scores else 0.0


def _divergence(reference: list[tuple[str, ...]], completion: list[tuple[str, ...]]) -> float:
    """``(H(q, m) - H(q, q)) / log 2``, in 0 to 1."""
    if not completion:
        return 1.0
    p, q = Counter(completion), Counter(reference)
    bits = 0.0
    for gram, count in q.items():
        share = count / len(reference)
        bits += share * math.log2(2 * share / (share + p[gram] / len(completion)))
    return min(1.0, max(0.0, bits))
