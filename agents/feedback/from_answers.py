"""What answers say to a learner: choices become comparisons, edits become comparisons and texts to imitate."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from agents.feedback.answers import HIGHEST_RATING, LOWEST_RATING, GivenAnswer
from agents.feedback.examples import Demonstration, Feedback, Preference, Rating


def feedback_of(answers: Iterable[GivenAnswer], leave_out_flagged: bool = False) -> Feedback:
    """Turn answers into what can be learned from them, in their order.

    - A choice is a comparison of the best completion with each of the others.
    - A tie is a tied comparison of every two completions.
    - A rating ``r`` from 1 to 5 is the score ``(r - 1) / 4``.
    - An edit is a comparison, better than its original, and a text to imitate.
    - A flag or a skip alone is nothing.

    Args:
        answers: The answers that count, of one annotator or of several.
        leave_out_flagged: Use no answer to an item that anybody has flagged.
    """
    answers = list(answers)
    flagged = {given.item_id for given in answers if given.answer.flag is not None}
    feedback = Feedback()
    for given in answers:
        if not (leave_out_flagged and given.item_id in flagged):
            feedback.preferences.extend(_preferences(given))
            feedback.ratings.extend(_ratings(given))
            feedback.demonstrations.extend(_demonstrations(given))
    return feedback


def _preferences(given: GivenAnswer) -> Iterator[Preference]:
    prompt, texts, answer = given.item.prompt, given.item.completions, given.answer
    if answer.best is not None:
        best = texts[answer.best]
        yield from (Preference(prompt, best, other) for other in texts if other != best)
    if answer.tie:
        yield from (Preference(prompt, one, other, tie=True) for one, other in itertools.combinations(texts, 2))
    if answer.edit is not None and answer.edited is not None:
        yield Preference(prompt, answer.edit, texts[answer.edited])


def _ratings(given: GivenAnswer) -> Iterator[Rating]:
    for text, rating in zip(given.item.completions, given.answer.ratings, strict=False):  # empty where nothing is rated
        if rating is not None:
            yield Rating(given.item.prompt, text, score_of(rating))


def _demonstrations(given: GivenAnswer) -> Iterator[Demonstration]:
    if given.answer.edit is not None:
        yield Demonstration(given.item.prompt, given.answer.edit)


def score_of(rating: float) -> float:
    """The score from 0 to 1 of a rating from 1 to 5."""
    return (rating - LOWEST_RATING) / (HIGHEST_RATING - LOWEST_RATING)
