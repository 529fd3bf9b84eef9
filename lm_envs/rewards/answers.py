"""Is the answer right? Exact match and token F1 of SQuAD, and regular expressions."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import ConfigurationError
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import AnswerReward
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_choice

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """SQuAD's normalisation: lower case, no ASCII punctuation, no articles, single spaces.

    An answer that consists of nothing else (``"+"``, ``"The"``) keeps what it has, in lower case. This is the one
    difference to SQuAD's script, which makes all of these equal to each other and to silence.
    """
    bare = _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION))
    return " ".join(bare.split()) or " ".join(text.lower().split())


@register("exact_match")
@dataclass(frozen=True)
class ExactMatch(AnswerReward):
    """1 if the completion equals one of the references after SQuAD's normalisation, else 0.

    Where there is a column ``extracted``, it is judged instead of the completion. The empty reference, which SQuAD 2.0
    has for a question without answer, wants silence.

    Args:
        column: The column with the references.

    References:
        Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250
    """

    __name__ = "exact_match"

    def score(self, completion: str, references: list[str]) -> float:
        """1.0 or 0.0 for one completion."""
        answer = normalize_answer(completion)
        return float(any(answer == normalize_answer(reference) for reference in references))


@register("token_f1")
@dataclass(frozen=True)
class TokenF1(AnswerReward):
    """F1 of the words that completion and reference share, after SQuAD's normalisation. Range 0 to 1.

    Formula: ``2 * precision * recall / (precision + recall)`` over bags of words; the best reference counts.
    Where there is a column ``extracted``, it is judged instead of the completion.

    Args:
        column: The column with the references.

    References:
        Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250
    """

    __name__ = "token_f1"

    def score(self, completion: str, references: list[str]) -> float:
        """The F1 of one completion."""
        answer = Counter(normalize_answer(completion).split())
        return max(_f1(answer, Counter(normalize_answer(reference).split())) for reference in references)


def _f1(answer: Counter[str], reference: Counter[str]) -> float:
    return 2 * (answer & reference).total() / (answer.total() + reference.total())


@register("regex")
@dataclass(frozen=True)
class Regex:
    """1 if the completion matches a regular expression, else 0. Empty completions and None score 0.

    Args:
        pattern: A pattern of Python's ``re``; flags go inside, e.g. ``"(?i)yes"``.
        mode: ``"search"`` (anywhere), ``"match"`` (at the beginning) or ``"fullmatch"``.
    """

    __name__ = "regex"
    pattern: str
    mode: str = "search"

    def __post_init__(self) -> None:
        """Check the pattern and the mode."""
        require_choice("regex", "mode", self.mode, ("search", "match", "fullmatch"))
        try:
            re.compile(self.pattern)
        except (re.error, TypeError) as error:
            raise ConfigurationError(
                f"pattern of the reward 'regex' has to be a regular expression, got {self.pattern!r}: {error}."
            ) from error

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """1.0 or 0.0 for each completion."""
        matches = getattr(re.compile(self.pattern), self.mode)  # compiled once: re keeps a cache
        return [float(bool(text) and matches(text) is not None) for text in completions]
