"""Feedback out of files as items and answers of a store."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from agents.feedback.answers import HIGHEST_RATING, LOWEST_RATING, MOST_COMPLETIONS, Answer, Item
from agents.feedback.examples import Feedback, Preference, Rating
from agents.feedback.store import FeedbackStore, annotator_name
from lm_envs.errors import DataError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Imported:
    """What became of feedback.

    Attributes:
        items: Items that were answered.
        new: Those of them that are new.
        answers: Answers that were written.
        left_out: Examples that no item was made of.
    """

    items: int
    new: int
    answers: int
    left_out: int


def import_feedback(store: FeedbackStore, feedback: Feedback, annotator: str) -> Imported:
    """Add comparisons and ratings to a store, as what ``annotator`` says.

    A comparison is an item with two completions; its margin is not kept. Ratings of two or more completions of one
    prompt are items with up to four completions, scores being rounded to ratings from 1 to 5. A rating that is alone
    with its prompt, and a demonstration, has nothing to be compared with and is left out. An item that is there already
    gets the answer; where ``annotator`` has answered it before, the new answer is the one that counts.

    Raises:
        DataError: Nothing can be imported, or ``annotator`` has no name; nothing is written then.
    """
    name = annotator_name(annotator)
    answered = [*map(_compared, feedback.preferences), *_rated(feedback.ratings)]
    if not answered:
        raise DataError(
            f"none of {len(feedback)} examples can be imported: expected comparisons, or ratings of two or more "
            "completions of one prompt."
        )
    n_used = len(feedback.preferences) + sum(len(answer.ratings) for _, answer in answered)
    if n_used < len(feedback):
        _logger.warning(
            "%d of %d examples are left out: they come twice, or there is nothing to compare them with.",
            *(len(feedback) - n_used, len(feedback)),
        )
    added = store.add_items(item for item, _ in answered)
    stored = {item.fingerprint: (item_id, item) for item_id, item in store.items().items()}
    store.add_answers(name, [_for_stored(item, answer, *stored[item.fingerprint]) for item, answer in answered])
    n_items = len({item.fingerprint for item, _ in answered})
    return Imported(n_items, new=added, answers=len(answered), left_out=len(feedback) - n_used)


def _for_stored(item: Item, answer: Answer, item_id: int, stored: Item) -> tuple[int, Answer]:
    """The answer with the numbers that the completions have in the store, where they may be in another order."""
    place = [item.completions.index(text) for text in stored.completions]  # of each stored one
    best = None if answer.best is None else place.index(answer.best)
    ratings = tuple(answer.ratings[i] for i in place) if answer.ratings else ()
    return item_id, dataclasses.replace(answer, best=best, ratings=ratings)


def _compared(preference: Preference) -> tuple[Item, Answer]:
    """The completions are in alphabetical order, so that the first one is not the chosen one every time."""
    texts = tuple(sorted((preference.chosen, preference.rejected)))
    answer = Answer(tie=True) if preference.tie else Answer(best=texts.index(preference.chosen))
    return Item(preference.prompt, texts), answer


def _rated(ratings: Sequence[Rating]) -> list[tuple[Item, Answer]]:
    scores: dict[str, dict[str, float]] = {}
    for rating in ratings:
        scores.setdefault(rating.prompt, {})[rating.completion] = rating.score
    found = []
    for prompt, own in scores.items():
        for texts in _groups(list(own)):
            item = Item(prompt, tuple(texts))
            found.append((item, Answer(ratings=tuple(_rating(own[text]) for text in texts))))
    return found


def _groups(texts: Sequence[str]) -> list[Sequence[str]]:
    """As few groups of two to four as there can be; none for a single text."""
    n_groups = -(-len(texts) // MOST_COMPLETIONS)
    groups = [texts[i::n_groups] for i in range(n_groups)]
    return [group for group in groups if len(group) > 1]


def _rating(score: float) -> int:
    return LOWEST_RATING + round(score * (HIGHEST_RATING - LOWEST_RATING))
