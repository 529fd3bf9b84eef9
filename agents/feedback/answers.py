"""What is asked about completions, and what annotators answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lm_envs.errors import DataError

MOST_COMPLETIONS = 4
LOWEST_RATING, HIGHEST_RATING = 1, 5


@dataclass(frozen=True)
class Item:
    """A prompt with completions that are to be compared.

    Attributes:
        prompt: The prompt's text.
        completions: Two to four different texts.
        sources: Where each completion comes from, for example a run folder; empty where nobody knows. Annotators do not
            see it.

    Raises:
        DataError: Too few or too many completions, equal ones, another number of sources, or something that is no text.
    """

    prompt: str
    completions: tuple[str, ...]
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what nobody could answer."""
        object.__setattr__(self, "completions", tuple(self.completions))
        object.__setattr__(self, "sources", tuple(self.sources))
        texts = (self.prompt, *self.completions, *self.sources)
        if not all(map(_is_text, texts)):
            raise DataError(f"prompt, completions and sources of an item have to be whole texts; got {texts!r:.200}.")
        if not 2 <= len(self.completions) <= MOST_COMPLETIONS:
            raise DataError(
                f"an item compares 2 to {MOST_COMPLETIONS} completions; got {len(self.completions)} for the prompt "
                f"{self.prompt!r:.80}."
            )
        if len(set(self.completions)) < len(self.completions):
            raise DataError(
                f"the prompt {self.prompt!r:.80} has equal completions, {self.completions!r:.120}: there is nothing to "
                "choose between them. Leave such items out."
            )
        if self.sources and len(self.sources) != len(self.completions):
            raise DataError(f"an item with {len(self.completions)} completions names {len(self.sources)} sources.")

    @property
    def fingerprint(self) -> str:
        """The same for the same prompt and completions, in whatever order."""
        text = json.dumps([self.prompt, sorted(self.completions)], ensure_ascii=False)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What one annotator says about one item: any of these together, or ``skip`` alone.

    Attributes:
        best: The number of the best completion, from 0; None where no choice was made.
        tie: The completions are equally good; excludes ``best``.
        ratings: A rating from 1 to 5, or None, for each completion; empty where nothing was rated.
        edited: The number of the completion that ``edit`` improves.
        edit: The better text.
        flag: What is wrong with the item, for whoever looks after the data; may be empty. None: nothing is.
        skip: The annotator does not want to say anything.
    """

    best: int | None = None
    tie: bool = False
    ratings: tuple[int | None, ...] = ()
    edited: int | None = None
    edit: str | None = None
    flag: str | None = None
    skip: bool = False

    def check(self, item: Item) -> None:
        """Check that this answers ``item``.

        Raises:
            DataError: Nothing is said, two things exclude each other, or there is no such completion.
        """
        for problem in self._problems(item):
            raise DataError(f"{problem}.")

    def _problems(self, item: Item) -> Iterator[str]:
        """What is wrong, the first thing first; later things may be looked at only where there is no earlier one."""
        n = len(item.completions)
        says = self.best is not None or self.tie or any(r is not None for r in self.ratings) or self.edit is not None
        if not isinstance(self.tie, bool) or not isinstance(self.skip, bool):
            yield f"tie and skip are true or false; got {self.tie!r:.80} and {self.skip!r:.80}"
        if not (says or self.flag is not None or self.skip):
            yield "an answer says something: a choice, a tie, ratings, an edit, a flag or a skip"
        if self.skip and says:
            yield "a skip says nothing else"
        if self.tie and self.best is not None:
            yield "a tie has no best completion"
        if self.best is not None and not _is_index(self.best, n):
            yield f"the best completion is a number from 0 to {n - 1}; got {self.best!r:.80}"
        if self.ratings and (len(self.ratings) != n or not all(map(_is_rating, self.ratings))):
            yield f"ratings are {n} numbers from 1 to 5, or None; got {self.ratings!r:.80}"
        if self.flag is not None and not _is_text(self.flag):
            yield f"a flag is a text; got {self.flag!r:.80}"
        if self.edit is not None or self.edited is not None:
            yield from self._edit_problems(item)

    def _edit_problems(self, item: Item) -> Iterator[str]:
        if not _is_text(self.edit) or not _is_index(self.edited, len(item.completions)):
            yield "an edit is a text, with the number of the completion that it improves"
        elif not str(self.edit).strip():
            yield "an edit is not empty"
        elif self.edit == item.completions[int(self.edited or 0)]:
            yield "an edit changes the completion"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, without what was not said."""
        said = {key: value for key, value in asdict(self).items() if value is not None and value is not False}
        return {key: value for key, value in said.items() if value != ()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Answer:
        """The answer that :meth:`to_dict` gave.

        Raises:
            DataError: There are other keys, or the ratings are no list. :meth:`check` looks at the values.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise DataError(f"an answer has no {unknown[0]!r}; known: {', '.join(cls.__dataclass_fields__)}.")
        ratings = values.get("ratings", ())
        if not isinstance(ratings, Sequence) or isinstance(ratings, str):
            raise DataError(f"ratings have to be a list of numbers; got {ratings!r:.80}.")
        return cls(**{**values, "ratings": tuple(ratings)})


@dataclass(frozen=True)
class GivenAnswer:
    """An answer as it was given.

    Attributes:
        number: Grows with every answer in a store.
        item_id: The item's number in the store.
        item: The item.
        annotator: Who answered.
        answer: The answer.
        time: When, in seconds since 1970.
    """

    number: int
    item_id: int
    item: Item
    annotator: str
    answer: Answer
    time: float


def _is_text(value: Any) -> bool:
    """Whether this is a text that can be written as UTF-8, that is, without halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_index(value: Any, n: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n


def _is_rating(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and LOWEST_RATING <= value <= HIGHEST_RATING)
