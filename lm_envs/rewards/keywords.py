"""Does the text use the words that it has to use?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import read_column, texts_of
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import ngrams_of, words_of


@register("keywords")
@dataclass(frozen=True)
class Keywords:
    """The share of the given keywords that the completion uses, as in CommonGen's coverage.

    Formula: ``keywords found / different keywords``. Range 0 to 1. Whole words are compared, in lower case
    and without punctuation: "art" is not found in "start", nor "dog" in "dogs". A keyword of several words
    has to occur as it is. A row without keywords is left out (None).

    Args:
        column: The column with the keywords: a list of texts for each row, or one text with commas between
            the keywords (without a comma: with spaces).

    References:
        Lin et al. 2020, https://arxiv.org/abs/1911.03705
    """

    __name__ = "keywords"
    column: str = "keywords"

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the reward cannot do without."""
        return (self.column,)

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float | None]:
        """Score each completion.

        Raises:
            UnknownNameError: The column is not there.
            DataError: A row is neither a text nor a list of texts.
        """
        rows = read_column(self, self.column, columns)
        pairs = zip(completions, rows, strict=True)
        return [_coverage(words_of(text), self._keywords(row)) for text, row in pairs]

    def _keywords(self, row: Any) -> set[tuple[str, ...]]:
        if isinstance(row, str):
            row = row.split("," if "," in row else None)
        return {tuple(words) for words in map(words_of, texts_of(self, row)) if words}


def _coverage(words: list[str], keywords: set[tuple[str, ...]]) -> float | None:
    if not keywords:
        return None
    return sum(keyword in ngrams_of(words, len(keyword)) for keyword in keywords) / len(keywords)
