import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.feedback.answers import Answer, Item
from lm_envs.errors import DataError

ITEM = Item("p", ("a", "b", "c"))
RATING = st.one_of(st.none(), st.integers(1, 5))
ANSWERS = st.builds(
    Answer,
    best=st.one_of(st.none(), st.integers(0, 2)),
    ratings=st.one_of(st.just(()), st.tuples(RATING, RATING, RATING)),
    edited=st.integers(0, 2),
    edit=st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: f"new {text}"),
    flag=st.one_of(st.none(), st.just(""), st.just("odd")),
)


@given(answer=st.one_of(ANSWERS, st.just(Answer(tie=True)), st.just(Answer(skip=True, flag=""))))
def test_answers_come_back_from_their_values(answer):
    answer.check(ITEM)
    assert Answer.from_dict(answer.to_dict()) == answer


def test_the_first_completion_is_no_nothing():
    assert Answer(best=0).to_dict() == {"best": 0}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(), "an answer says something"),
        (Answer(ratings=(None, None, None)), "an answer says something"),
        (Answer(skip=True, best=0), "a skip says nothing else"),
        (Answer(tie=True, best=0), "a tie has no best completion"),
        (Answer(tie="yes"), "tie and skip are true or false"),
        (Answer(best=3), "a number from 0 to 2; got 3"),
        (Answer(best=-1), "a number from 0 to 2; got -1"),
        (Answer(best=True), "a number from 0 to 2; got True"),
        (Answer(ratings=(1, 2)), r"ratings are 3 numbers from 1 to 5, or None; got \(1, 2\)"),
        (Answer(ratings=(1, 2, 6)), "ratings are 3 numbers"),
        (Answer(flag=3), "a flag is a text; got 3"),
        (Answer(edit="x"), "an edit is a text, with the number"),
        (Answer(best=0, edited=1), "an edit is a text, with the number"),
        (Answer(edited=0, edit="\ud800"), "an edit is a text, with the number"),
        (Answer(edited=0, edit=" "), "an edit is not empty"),
        (Answer(edited=1, edit="b"), "an edit changes the completion"),
    ],
)
def test_answers_that_do_not_fit(answer, message):
    with pytest.raises(DataError, match=message):
        answer.check(ITEM)


def test_values_that_are_no_answer():
    with pytest.raises(DataError, match="an answer has no 'bset'; known: best, tie"):
        Answer.from_dict({"bset": 1})
    with pytest.raises(DataError, match="ratings have to be a list of numbers; got '12'"):
        Answer.from_dict({"ratings": "12"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("p", ("a",)), "an item compares 2 to 4 completions; got 1"),
        (("p", tuple("abcde")), "an item compares 2 to 4 completions; got 5"),
        (("p", ("a", "a")), "equal completions"),
        (("p", ("a", None)), "have to be whole texts"),
        (("\ud800", ("a", "b")), "have to be whole texts"),
        (("p", ("a", "b"), ("run",)), "an item with 2 completions names 1 sources"),
    ],
)
def test_items_that_nobody_could_answer(arguments, message):
    with pytest.raises(DataError, match=message):
        Item(*arguments)


def test_fingerprint_does_not_look_at_the_order():
    assert Item("p", ("a", "b")).fingerprint == Item("p", ("b", "a")).fingerprint
    assert Item("p", ("a", "b")).fingerprint != Item("p", ("a", "c")).fingerprint
