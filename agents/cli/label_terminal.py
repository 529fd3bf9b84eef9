"""Label completions in the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from rich.text import Text

from agents.cli.messages import console, printable, say
from agents.feedback.answers import HIGHEST_RATING, LOWEST_RATING, Answer, Item
from agents.feedback.order import shown_order
from agents.feedback.store import FeedbackStore, annotator_name
from lm_envs.errors import DataError

HELP = "{numbers} best   t tie   r rate   e edit   f flag   s skip   d done   u undo   ? help   q quit"
LONG_HELP = """\
A number or t alone answers the item. r, e and f add to the answer; then a number, t or d (done) sends it.
  r  rate: a number from 1 (bad) to 5 (good) for each completion in the order shown, - for none: r 4 2
  e  edit: the number of the completion to improve, then the better text, on one line; \\n stands for a line end
  f  flag: what is wrong with the item, for whoever looks after the data
  s  skip: say nothing about the item
  u  undo: take back your last answer and see its item again
  q  quit: what is answered is saved, and the next time goes on here
"""


def label_in_terminal(store: FeedbackStore, annotator: str, ask: Callable[[str], str] = input) -> int:
    """Ask for what ``annotator`` says about each open item, until none is left or there is enough.

    Each answer is in the file before the next item is shown.

    Args:
        store: The items.
        annotator: Who answers.
        ask: Shows a text and returns a line; ends the session by EOFError.

    Returns:
        The number of answers that were given and not taken back.

    Raises:
        DataError: The annotator has no name, or the store has no items.
    """
    name = annotator_name(annotator)
    if not store.items():
        raise DataError(
            f"{store.path} has no items to label. Sample some: lm-envs collect RUN_OR_MODEL --feedback FILE"
        )
    before = store.progress(name).done
    try:
        _label_all(store, name, ask)
    except EOFError:
        console().print()
    progress = store.progress(name)
    console().print(f"{progress.done} of {progress.total} items are answered in {store.path}", markup=False)
    return progress.done - before


def _label_all(store: FeedbackStore, annotator: str, ask: Callable[[str], str]) -> None:
    returned: int | None = None  # the item whose answer was just taken back
    while (found := _next(store, annotator, returned)) is not None:
        item_id, item = found
        order = shown_order(item_id, annotator, len(item.completions))
        _show(store, annotator, item, order)
        verdict = _Draft(item, order).ask(ask)
        if verdict == "q":
            return
        returned = store.undo(annotator) if verdict == "u" else None
        if verdict == "u" and returned is None:
            say("note", "yellow", "there is nothing to undo.")
        if isinstance(verdict, Answer):
            store.add_answer(item_id, annotator, verdict)


def _next(store: FeedbackStore, annotator: str, returned: int | None) -> tuple[int, Item] | None:
    return store.next_item(annotator) if returned is None else (returned, store.item(returned))


def _show(store: FeedbackStore, annotator: str, item: Item, order: tuple[int, ...]) -> None:
    progress = store.progress(annotator)
    heading = f"item {progress.done + 1} of {progress.total}"
    console().rule(Text(heading, style="dim"), align="left")
    console().print(Text(printable(item.prompt), style="dim"))
    for place, number in enumerate(order, start=1):
        text = printable(item.completions[number].strip()) or "(no text)"
        console().print(Text.assemble((f"\n{place}  ", "bold cyan"), text))
    console().print(Text("\n" + HELP.format(numbers=f"1-{len(order)}"), style="dim"))


@dataclass
class _Draft:
    """The answer to an item, as far as it is given."""

    item: Item
    order: tuple[int, ...]
    answer: Answer = field(default_factory=Answer)

    def ask(self, ask: Callable[[str], str]) -> Answer | str:
        """Ask until there is an answer, or ``"u"`` or ``"q"``."""
        while True:
            key, _, rest = ask("> ").strip().partition(" ")
            try:
                if key.lower() in ("u", "q"):
                    return key.lower()
                if self._take(key.lower(), rest.strip(), ask):
                    self.answer.check(self.item)
                    return self.answer
            except DataError as error:
                say("error", "red", str(error))
                self.answer = dataclasses.replace(self.answer, best=None, tie=False, skip=False)

    def _take(self, key: str, rest: str, ask: Callable[[str], str]) -> bool:
        """Take one line; whether the answer is to be sent."""
        if key in self._ADDS:
            self._ADDS[key](self, rest, ask)
            return False
        if key.isdecimal():
            self.answer = dataclasses.replace(self.answer, best=self._completion(key))
        elif key == "t":
            self.answer = dataclasses.replace(self.answer, tie=True)
        elif key == "s":
            self.answer = Answer(skip=True, flag=self.answer.flag)
        elif key == "?":
            console().print(Text(LONG_HELP))
            return False
        elif key != "d":
            raise DataError(f"{key!r} is no key; ? explains them")
        return True

    def _completion(self, text: str) -> int:
        """The number in the item of the completion that is shown at the place that was typed."""
        if not text.isdecimal() or not 1 <= int(text) <= len(self.order):
            raise DataError(f"completions have the numbers 1 to {len(self.order)}; got {text!r}")
        return self.order[int(text) - 1]

    def _rate(self, rest: str, ask: Callable[[str], str]) -> None:
        typed = (rest or ask(f"{LOWEST_RATING} to {HIGHEST_RATING} or - for each: ")).split()
        if len(typed) != len(self.order):
            raise DataError(f"expected {len(self.order)} ratings, - for none, for example 'r 4 -'; got {len(typed)}")
        shown = dict(zip(self.order, map(_rating, typed), strict=True))
        self._add(ratings=tuple(shown[i] for i in range(len(self.order))))

    def _edit(self, rest: str, ask: Callable[[str], str]) -> None:
        number = self._completion(rest or ask("which completion: ").strip())
        original = self.item.completions[number]
        console().print(Text(printable(original), style="dim"))
        typed = ask("better text: ").strip().replace("\\n", "\n")
        space = original[: len(original) - len(original.lstrip())] if typed else ""  # between it and the prompt
        self._add(edited=number, edit=space + typed)

    def _flag(self, rest: str, ask: Callable[[str], str]) -> None:
        self._add(flag=rest or ask("what is wrong: ").strip())

    def _add(self, **said: object) -> None:
        """Add to the answer what fits the item; nothing else of it is lost where it does not."""
        answer = dataclasses.replace(self.answer, **said)  # type: ignore[arg-type]
        answer.check(self.item)
        self.answer = answer

    _ADDS: ClassVar[dict[str, Callable[[_Draft, str, Callable[[str], str]], None]]] = {
        "r": _rate,
        "e": _edit,
        "f": _flag,
    }


def _rating(text: str) -> int | None:
    if text == "-":
        return None
    if not text.isdecimal() or not LOWEST_RATING <= int(text) <= HIGHEST_RATING:
        raise DataError(f"a rating is a number from {LOWEST_RATING} to {HIGHEST_RATING}, or -; got {text!r}")
    return int(text)
