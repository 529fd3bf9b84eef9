"""Sentences whose words have labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lm_envs.tagging.scheme import Scheme


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence, split into words, with a label for each.

    Attributes:
        words: The words, as the data splits them; punctuation marks are words.
        labels: Of each word, in BIO.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(self.words)


@dataclass(frozen=True)
class TaggedSentences:
    """The sentences of one split.

    Attributes:
        sentences: All of them.
        scheme: The labels; those of the other splits are among them.
    """

    sentences: Sequence[TaggedSentence]
    scheme: Scheme

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.sentences)

    def __getitem__(self, index: int) -> TaggedSentence:
        """The sentence of that number."""
        return self.sentences[index]
