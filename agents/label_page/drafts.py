"""What a form says, by the places of the page, and the answer that it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.feedback.answers import Answer, Item
from lm_envs.errors import DataError

TIE = "tie"


@dataclass(frozen=True)
class Draft:
    """The content of a form, which may not be an answer yet.

    Completions stand in the order in which the annotator sees them: the place ``p`` shows ``completions[order[p]]``.

    Attributes:
        choice: The place of the best completion, ``"tie"``, or empty.
        ratings: ``"1"`` to ``"5"`` or empty, for each place.
        edits: The text for each place; as shown where it was not edited.
        flagged: Whether something is wrong with the item.
        note: What.
    """

    choice: str
    ratings: tuple[str, ...]
    edits: tuple[str, ...]
    flagged: bool = False
    note: str = ""

    @classmethod
    def blank(cls, item: Item, order: Sequence[int]) -> Draft:
        """A form that nobody touched."""
        return cls("", ("",) * len(order), tuple(shown_text(item.completions[i]) for i in order))

    @classmethod
    def of_answer(cls, answer: Answer, item: Item, order: Sequence[int]) -> Draft:
        """The form that gives ``answer``."""
        chosen = "" if answer.best is None else str(list(order).index(answer.best))
        ratings = answer.ratings or (None,) * len(order)
        texts = [answer.edit if i == answer.edited else item.completions[i] for i in order]
        return cls(
            TIE if answer.tie else chosen,
            tuple(str(ratings[i] or "") for i in order),
            tuple(shown_text(text or "") for text in texts),
            answer.flag is not None,
            answer.flag or "",
        )

    @classmethod
    def of_form(cls, fields: Mapping[str, str], item: Item, order: Sequence[int]) -> Draft:
        """The form as it was sent; what it lacks is as in an untouched one."""
        blank = cls.blank(item, order)
        note = fields.get("note", "").strip()
        return cls(
            fields.get("choice", ""),
            tuple(fields.get(f"rating-{place}", "") for place in range(len(order))),
            tuple(shown_text(fields.get(f"edit-{place}", text)) for place, text in enumerate(blank.edits)),
            "flag" in fields or bool(note),
            note,
        )

    def answer(self, item: Item, order: Sequence[int]) -> Answer:
        """What the form means, in the item's own numbers.

        Raises:
            DataError: Nothing is said, two texts are edited, or a field holds what no form sends.
        """
        blank = Draft.blank(item, order)
        changed = [place for place in range(len(order)) if self.edits[place] != blank.edits[place]]
        if len(changed) > 1:
            raise DataError("edit one completion: more than one was changed. Put the others back as they were.")
        if self == blank:
            raise DataError("choose a completion, a tie or a rating, edit a text or flag the item; or skip it.")
        return Answer(
            best=None if self.choice in ("", TIE) else order[_number(self.choice, len(order))],
            tie=self.choice == TIE,
            ratings=self._ratings(order),
            edited=order[changed[0]] if changed else None,
            edit=self.edits[changed[0]] if changed else None,
            flag=self.note if self.flagged else None,
        )

    def skip(self) -> Answer:
        """A skip; only a flag goes with it."""
        return Answer(skip=True, flag=self.note if self.flagged else None)

    def _ratings(self, order: Sequence[int]) -> tuple[int | None, ...]:
        if not any(self.ratings):
            return ()
        given = {i: None if text == "" else _number(text, 6) for i, text in zip(order, self.ratings, strict=True)}
        return tuple(given[i] for i in range(len(order)))


def shown_text(text: str) -> str:
    """``text`` as a browser sends it back from a text box: so an edit can be told from none.

    Line ends are one character, as they are in the item; the character 0, which HTML cannot carry, is
    replaced.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _number(text: str, end: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not int(text) < end:
        raise DataError(f"the form holds {text!r:.20} where a number below {end} was expected. Load the page anew.")
    return int(text)
