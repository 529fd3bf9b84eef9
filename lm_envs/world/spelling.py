"""Between text and the words of the grammar: capitals, spaces, punctuation, and the choice of a or an.

The grammar knows only lower-case words and names such as ``Monday``; it writes the article as ``a``. Spelling
out a sentence capitalises its first word, turns ``a`` into ``an`` before a vowel, and attaches punctuation to
the word before it. Reading a text undoes that, and reports where the text was not spelled like this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

SENTENCE_ENDS = (".", "!", "?")
_PUNCTUATION = (*SENTENCE_ENDS, ",", ":")
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z]+)*|[.,!?:]")
_VOWEL_SOUND = re.compile(r"(?!use|one|uni)[aeiou]|hour|hono?u?r|honest", re.IGNORECASE)


class Sentence(NamedTuple):
    """A sentence of a text.

    ``words`` are spelled as in the text; ``complete`` tells whether the sentence has its final punctuation.
    """

    words: tuple[str, ...]
    complete: bool

    def __str__(self) -> str:
        return join(self.words)


class SpellingError(ValueError):
    """Raised when a text has wrong spaces, characters, articles or capitals."""


def spell(words: Sequence[str], capital: bool = True) -> str:
    """Write one sentence as text, with a capital at the start unless it continues another text."""
    chosen = [
        ("an" if word == "a" and _VOWEL_SOUND.match(following) else word)
        for word, following in zip(words, [*words[1:], ""], strict=True)
    ]
    text = join(chosen)
    return text[:1].upper() + text[1:] if capital else text


def join(words: Sequence[str]) -> str:
    """Put spaces between words, and none before punctuation."""
    return "".join(w if w in _PUNCTUATION or not i else " " + w for i, w in enumerate(words))


def split_words(text: str) -> list[str]:
    """Split a text into words and punctuation marks.

    Raises:
        SpellingError: The text has characters that the world does not use, or wrong spaces.
    """
    words = _TOKEN.findall(text)
    if join(words) != text:
        rest = _TOKEN.sub("", text).replace(" ", "")
        problem = f"unexpected character {rest[0]!r}" if rest else "wrong spaces"
        raise SpellingError(f"{problem} in {text!r}")
    return words


def split_sentences(words: Sequence[str]) -> list[Sentence]:
    """Cut a list of words after every full stop, exclamation mark and question mark."""
    sentences, start = [], 0
    for position, word in enumerate(words):
        if word in SENTENCE_ENDS:
            sentences.append(Sentence(tuple(words[start : position + 1]), complete=True))
            start = position + 1
    if start < len(words):
        sentences.append(Sentence(tuple(words[start:]), complete=False))
    return sentences


def unspell(sentence: Sentence) -> list[tuple[str, ...]]:
    """The grammar's spellings that a sentence may stand for: with the first word as it is, and in lower case.

    Raises:
        SpellingError: The first letter is not a capital, or an article is wrong.
    """
    words = list(sentence.words)
    if words[0][0].islower():
        raise SpellingError(f"no capital at the start of {str(sentence)!r}")
    lowered = [words[0][0].lower() + words[0][1:], *words[1:]]
    for position, (word, following) in enumerate(pairwise(lowered)):
        if word in ("a", "an"):
            cut = position == len(lowered) - 2 and not sentence.complete
            if not cut and (word == "an") != bool(_VOWEL_SOUND.match(following)):
                raise SpellingError(f"wrong article {word!r} before {following!r} in {str(sentence)!r}")
    normal = ["a" if word == "an" else word for word in lowered]
    return [tuple(normal), (words[0], *normal[1:])]
