"""Metrics of machine translation and summarisation: BLEU, chrF, TER, ROUGE."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.reference import ReferenceReward
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_choice, require_package

ROUGE_VARIANTS = ("rouge1", "rouge2", "rougeL")
ROUGE_MEASURES = ("fmeasure", "precision", "recall")


@register("bleu")
@dataclass(frozen=True)
class Bleu(ReferenceReward):
    """Sentence BLEU of sacrebleu, divided by 100.

    Formula: brevity penalty times the geometric mean of the 1- to 4-gram precisions, with exponential
    smoothing; orders longer than the completion are left out. Several references are used together.
    Range 0 to 1.

    Args:
        column: The column with the references.
        lowercase: Ignore case.

    References:
        Papineni et al. 2002, https://aclanthology.org/P02-1040; Post 2018, https://aclanthology.org/W18-6319
    """

    __name__ = "bleu"
    lowercase: bool = False

    def __post_init__(self) -> None:
        """Check that sacrebleu is installed."""
        require_package("sacrebleu", self.__name__)

    def score(self, completion: str, references: list[str]) -> float:
        """BLEU of one completion."""
        metric = _sacrebleu("BLEU", effective_order=True, lowercase=self.lowercase)
        return _unit(metric.sentence_score(completion, references).score / 100)


@register("chrf")
@dataclass(frozen=True)
class ChrF(ReferenceReward):
    """Sentence chrF of sacrebleu, divided by 100: F2 score of character n-grams up to order 6.

    The best of several references counts. Range 0 to 1.

    Args:
        column: The column with the references.
        word_order: Longest word n-gram; 0 gives chrF, 2 gives chrF++.
        lowercase: Ignore case.

    References:
        Popovic 2015, https://aclanthology.org/W15-3049
    """

    __name__ = "chrf"
    word_order: int = 0
    lowercase: bool = False

    def __post_init__(self) -> None:
        """Check that sacrebleu is installed."""
        require_package("sacrebleu", self.__name__)

    def score(self, completion: str, references: list[str]) -> float:
        """The chrF score of one completion."""
        metric = _sacrebleu("CHRF", word_order=self.word_order, lowercase=self.lowercase)
        return _unit(metric.sentence_score(completion, references).score / 100)


@register("ter")
@dataclass(frozen=True)
class Ter(ReferenceReward):
    """One minus the translation edit rate of sacrebleu.

    Formula: ``1 - min(1, edits / reference_length)``, edits being insertions, deletions, substitutions and
    shifts of words; the reference with the fewest edits counts. Range 0 (as many edits as words, or more)
    to 1 (equal), so that, unlike TER itself, higher is better.

    Args:
        column: The column with the references.
        case_sensitive: Tell upper from lower case.

    References:
        Snover et al. 2006, https://aclanthology.org/2006.amta-papers.25
    """

    __name__ = "ter"
    case_sensitive: bool = False

    def __post_init__(self) -> None:
        """Check that sacrebleu is installed."""
        require_package("sacrebleu", self.__name__)

    def score(self, completion: str, references: list[str]) -> float:
        """One minus the clipped edit rate of one completion."""
        metric = _sacrebleu("TER", case_sensitive=self.case_sensitive)
        return _unit(1 - metric.sentence_score(completion, references).score / 100)


@register("rouge")
@dataclass(frozen=True)
class Rouge(ReferenceReward):
    """ROUGE of the package rouge-score, the best over the references. Range 0 to 1.

    Formula: F1, precision or recall of the unigrams (``"rouge1"``), the bigrams (``"rouge2"``) or the longest
    common subsequence (``"rougeL"``). Only letters a to z and digits count, in lower case.

    Args:
        column: The column with the references.
        variant: ``"rouge1"``, ``"rouge2"`` or ``"rougeL"``; each is also registered as a name of its own.
        measure: ``"fmeasure"``, ``"precision"`` or ``"recall"``.
        use_stemmer: Compare the words' Porter stems.

    References:
        Lin 2004, https://aclanthology.org/W04-1013
    """

    variant: str = "rougeL"
    measure: str = "fmeasure"
    use_stemmer: bool = False

    def __post_init__(self) -> None:
        """Check the variant, the measure and that rouge-score is installed."""
        require_choice("rouge", "variant", self.variant, ROUGE_VARIANTS)
        require_choice("rouge", "measure", self.measure, ROUGE_MEASURES)
        require_package("rouge_score", "rouge")

    @property
    def __name__(self) -> str:
        """The variant, which names the term."""
        return self.variant

    def score(self, completion: str, references: list[str]) -> float:
        """ROUGE of one completion."""
        scorer = _rouge_scorer(self.variant, self.use_stemmer)
        scores = (scorer.score(reference, completion)[self.variant] for reference in references)
        return max(float(getattr(score, self.measure)) for score in scores)


for _variant in ROUGE_VARIANTS:
    register(_variant, functools.partial(Rouge, variant=_variant))


def _unit(value: float) -> float:
    """Clip to 0 to 1: sacrebleu returns 100.00000000000004 for equal texts."""
    return min(1.0, max(0.0, float(value)))


@functools.cache
def _sacrebleu(metric: str, **options: Any) -> Any:
    from sacrebleu import metrics

    return getattr(metrics, metric)(**options)


@functools.cache
def _rouge_scorer(variant: str, use_stemmer: bool) -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer([variant], use_stemmer=use_stemmer)
