"""Does a text keep to what it is about? Its names and numbers, and its words."""

from __future__ import annotations

import abc
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.reference import texts_of
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import words_of

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_TOKEN = re.compile(rf"{_NUMBER.pattern}|\w+(?:['’]\w+)*")  # noqa: RUF001  (the typographic apostrophe is meant)
_POSSESSIVE = re.compile(r"['’]s$")  # noqa: RUF001
_UP_TO_TWELVE = "two three four five six seven eight nine ten eleven twelve"
_ABOVE = (
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty "
    "ninety hundred thousand million billion"
)
_NUMERALS = {word: str(value) for value, word in enumerate(_UP_TO_TWELVE.split(), start=2)}
_NUMERALS |= {word: word for word in _ABOVE.split()}
_FUNCTION_WORDS = frozenset(
    "a an the this that these those i you he she it we they my your his her its our their there here "
    "who whom whose which what when where why how if as than so such not no nor and or but yet "
    "in on at by for from of to with without about after before during over under between into through until while "
    "because although since is are was were be been has have had do does did will would can could may might must "
    "all any both each every few many more most much other others some several one once also only just then".split()
)


@dataclass(frozen=True)
class SourceReward(abc.ABC):
    """A reward that compares each completion with the text that it is about.

    Args:
        column: The column with these texts. Where there is no such column, or a row has no text in it, the prompt is
            the text.
    """

    column: str = "source"

    @abc.abstractmethod
    def score(self, completion: str, source: str) -> float:
        """Score one completion, which may be empty."""

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion.

        Raises:
            DataError: A row of the column is neither a text nor a number nor a list of these.
        """
        sources = self._sources(prompts, columns)
        return [self.score(text or "", source) for text, source in zip(completions, sources, strict=True)]

    def _sources(self, prompts: Sequence[str], columns: Mapping[str, Any]) -> list[str]:
        rows = columns.get(self.column)
        found = [[]] * len(prompts) if rows is None else [texts_of(self, row) for row in rows]
        return [" ".join(texts) or prompt for texts, prompt in zip(found, prompts, strict=True)]


@register("faithfulness")
@dataclass(frozen=True)
class Faithfulness(SourceReward):
    """The share of a text's names and numbers that its source has too.

    Formula: ``supported / all`` of the different names and numbers of the completion. Range 0 to 1. They are found word
    by word, without a model:

    - names: words that begin with a capital letter, unless they are function words ("The", "In", "I"). So the first
      word of a sentence counts as well; it costs nothing where the source has it in lower case;
    - numbers: digits ("7", "1,250", "18:30") and number words, but for "one".

    A name is supported if the source has the word, whatever its capitals and a possessive "'s"; a number if the source
    has it, with or without commas, up to twelve also spelled out: "7" for "seven". A completion without names and
    numbers invents none and scores 1, unless it shares no word with the source: then, as if it is empty or None, 0.

    Meant for languages that capitalise names only; in Title Case every word has to be in the source. This is the
    precision of entities in the source of Nan et al., with words in place of a tagger's entities.

    Args:
        column: The column with the source; without it the prompt is the source.

    References:
        Nan et al. 2021, https://arxiv.org/abs/2102.09130
    """

    __name__ = "faithfulness"

    def score(self, completion: str, source: str) -> float:
        """The share of one completion."""
        tokens = _TOKEN.findall(completion)
        known = {_key(token) for token in _TOKEN.findall(source)}
        named = {_key(token) for token in tokens if _is_checked(token)}
        if not named:
            return float(any(_key(token) in known for token in tokens))
        return len(named & known) / len(named)


def _is_checked(token: str) -> bool:
    """Whether a word is a name or a number."""
    word = token.casefold()
    return token[0].isdigit() or word in _NUMERALS or (token[0].isupper() and word not in _FUNCTION_WORDS)


def _key(token: str) -> str:
    """What is equal for two ways of writing a word or a number."""
    if _NUMBER.fullmatch(token):
        return token.replace(",", "")
    word = _POSSESSIVE.sub("", token.casefold())
    return _NUMERALS.get(word, word)


@register("coverage")
@dataclass(frozen=True)
class Coverage(SourceReward):
    """Extractive fragment coverage: the share of a text's words that are taken from its source.

    Formula: ``sum of |f| over the fragments / words of the completion``, the fragments being the longest runs of words
    that the completion shares with the source, found greedily from left to right. Range 0 (no word is from the source;
    also an empty text) to 1 (every word is). As a run may be one word long, this is the share of words that the source
    has. Case and punctuation do not count. A text that copies scores 1: combine it with a reward for brevity or
    for a reference.

    Args:
        column: The column with the source; without it the prompt is the source.

    References:
        Grusky et al. 2018, https://arxiv.org/abs/1804.11283
    """

    __name__ = "coverage"

    def score(self, completion: str, source: str) -> float:
        """The coverage of one completion."""
        words, known = words_of(completion), set(words_of(source))
        return sum(word in known for word in words) / len(words) if words else 0.0
