from __future__ import annotations

import pytest

from agents.feedback.answers import Answer, Item
from agents.label_page.drafts import Draft, shown_text
from lm_envs.errors import DataError

ITEM = Item("p", ("zero", "one", "two\r\nlines"))
ORDER = (2, 0, 1)

ANSWERS = [
    Answer(best=2),
    Answer(tie=True),
    Answer(ratings=(5, None, 1)),
    Answer(best=1, ratings=(1, 2, 3), edited=2, edit="two\nbetter lines", flag="odd"),
    Answer(edited=0, edit="  zéro 🎈 \n\n"),
    Answer(flag=""),
]


def _sent(draft: Draft) -> dict[str, str]:
    """The fields as a browser sends them: line ends become two characters, what is empty or unchecked may be absent."""
    fields = {f"rating-{p}": rating for p, rating in enumerate(draft.ratings) if rating}
    fields |= {f"edit-{p}": text.replace("\n", "\r\n") for p, text in enumerate(draft.edits)}
    fields |= {"choice": draft.choice} if draft.choice else {}
    return fields | ({"flag": "on"} if draft.flagged else {}) | {"note": draft.note}


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_survives_form_and_back(answer: Answer) -> None:
    draft = Draft.of_answer(answer, ITEM, ORDER)
    assert Draft.of_form(_sent(draft), ITEM, ORDER) == draft
    assert draft.answer(ITEM, ORDER) == answer
    answer.check(ITEM)


def test_places_become_the_items_numbers() -> None:
    fields = {"choice": "0", "rating-1": "4", "edit-2": "uno"}
    answer = Draft.of_form(fields, ITEM, ORDER).answer(ITEM, ORDER)
    assert answer == Answer(best=2, ratings=(4, None, None), edited=1, edit="uno")


def test_a_form_that_nobody_touched_says_nothing() -> None:
    blank = Draft.blank(ITEM, ORDER)
    assert Draft.of_form(_sent(blank), ITEM, ORDER) == blank
    assert Draft.of_form({}, ITEM, ORDER) == blank
    with pytest.raises(DataError, match="choose a completion, a tie or a rating.*or skip"):
        blank.answer(ITEM, ORDER)


def test_a_note_flags_and_a_skip_keeps_it() -> None:
    draft = Draft.of_form({"note": " broken ", "choice": "1"}, ITEM, ORDER)
    assert draft.skip() == Answer(skip=True, flag="broken")
    assert Draft.blank(ITEM, ORDER).skip() == Answer(skip=True)


def test_one_edit_at_a_time() -> None:
    with pytest.raises(DataError, match="edit one completion: more than one"):
        Draft.of_form({"edit-0": "a", "edit-1": "b"}, ITEM, ORDER).answer(ITEM, ORDER)


@pytest.mark.parametrize("fields", [{"choice": "3"}, {"choice": "-1"}, {"choice": "²"}, {"rating-0": "6"}])
def test_what_no_form_sends_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(DataError, match="where a number below"):
        Draft.of_form(fields, ITEM, ORDER).answer(ITEM, ORDER)


def test_text_is_what_a_browser_sends_back() -> None:
    assert shown_text("a\r\nb\rc\0\n") == "a\nb\nc\ufffd\n"
