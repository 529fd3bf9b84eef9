"""Who a language model plays: the customers of the small world's help desk, or what the user of the project says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from lm_envs.data import load_dataset
from lm_envs.errors import DataError
from lm_envs.world.dialogues import SYSTEM_MESSAGES, Dialogue, dialogue_items

MANNERS = (
    "Answer what you are asked, in one short sentence, and say nothing but what the customer says. When you have what "
    "you want, say goodbye."
)
_WANTS = {
    "book": "You are a customer of a restaurant. You want to book a table for {people} on {day} at {time}. Your name "
    "is {customer}.",
    "return": "You are a customer of a shop. You want to return the {item} that you bought, because {reason}. You want "
    "{refund}.",
    "fault": "You are a customer of a repair shop. You have a problem with your {machine}: {fault}. It began {since}.",
    "hours": "You are a visitor of a town. You want to know when the {shop} is open on {day}.",
}


def load_personas(source: str | Path | Sequence[str] | None, split: str, role: str) -> tuple[str, ...]:
    """The personas of a split.

    Args:
        source: A list of texts; a file, which is text with a persona a line, or a table with the column ``persona``
            in any format of :func:`lm_envs.data.load_dataset`, which also tells how it is split; None for the small
            world's.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        role: None's meaning: with ``"assistant"`` the customers of the help desk and what they want, with ``"user"``
            the system messages that the help desk's dialogues begin with.

    Raises:
        DataError: The source is missing, empty or malformed.
    """
    if source is None:
        return _customers(split) if role == "assistant" else tuple(SYSTEM_MESSAGES.values())
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        if not path.is_file():
            raise DataError(
                f"personas must be a list of texts or a file, and there is no file {str(source)!r}. A single persona "
                "is a list with one text"
            )
        source = _lines(path) if path.suffix.lower() == ".txt" else str(path)
    return tuple(load_dataset(source, prompt_column="persona", split=split, columns=()).prompts)


def describe(dialogue: Dialogue) -> str:
    """The customer of a help-desk dialogue and what the customer wants, as an instruction."""
    goal = dict(dialogue.goal)
    if "reason" in goal:
        goal["reason"] = f" {goal['reason']}".replace(" I ", " you ").lstrip()
    if "refund" in goal:
        goal["refund"] = goal["refund"].replace("my", "your")
    if goal.get("since", "")[:1].isupper():  # a day of the week
        goal["since"] = f"on {goal['since']}"
    return f"{_WANTS[dialogue.domain].format(**goal)} {MANNERS}"


@lru_cache(maxsize=4)
def _customers(split: str) -> tuple[str, ...]:
    return tuple(describe(dialogue) for dialogue in dialogue_items(split))


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} as UTF-8 text: {error}.") from error
    if not any(lines):
        raise DataError(f"{path} is empty: expected a persona a line.")
    return [line for line in lines if line]
