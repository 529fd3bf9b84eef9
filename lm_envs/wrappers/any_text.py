"""The space of all texts."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from gymnasium import spaces

MAX_CHARACTERS = 2**20
SAMPLED_CHARACTERS = 64
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
COMMON_CHARACTERS = string.ascii_letters + string.digits + string.punctuation + " \n" + REPLACEMENT


class AnyText(spaces.Text):
    """Every text of at most ``max_length`` characters, whatever its characters: all of Unicode.

    A ``Text`` space with the million characters of Unicode would take 100 MB and print them all. This one knows them
    by a rule. Its ``charset`` is what samples are made of; where a text is turned into numbers, as by
    ``gymnasium.spaces.flatten``, every other character counts as U+FFFD. A sample has at most 64 characters.
    Surrogates are no characters.
    """

    def __init__(self, max_length: int = MAX_CHARACTERS, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(max_length, min_length=0, charset=COMMON_CHARACTERS, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A text of common characters; ``mask`` and ``probability`` as for ``gymnasium.spaces.Text``."""
        if mask is None and probability is None:
            mask = (int(self.np_random.integers(min(SAMPLED_CHARACTERS, self.max_length) + 1)), None)
        return super().sample(mask=mask, probability=probability)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a text that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length and is_unicode(x)

    def character_index(self, char: str) -> np.int32:
        """The character's place in the charset; that of U+FFFD where it is not in it."""
        return super().character_index(char if char in self.character_set else REPLACEMENT)

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and self.max_length == other.max_length


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be encoded: it holds no lone surrogate."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
