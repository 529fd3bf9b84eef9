import logging

import pytest

from agents.feedback.answers import Answer, Item
from agents.feedback.examples import Demonstration, Feedback, Preference, Rating
from agents.feedback.files import read_feedback
from agents.feedback.importing import Imported, import_feedback
from agents.feedback.store import FeedbackStore
from lm_envs.errors import DataError


@pytest.fixture
def store(tmp_path):
    return FeedbackStore(tmp_path / "answers.sqlite")


def test_comparisons_and_ratings_come_back_from_the_store(store):
    feedback = Feedback(
        [Preference("p", "b", "a"), Preference("p", "c", "d"), Preference("q", "x", "y", tie=True)],
        [Rating("r", "one", 0.75), Rating("r", "two", 0.0)],
    )
    found = import_feedback(store, feedback, " ann ")
    assert found == Imported(items=4, new=4, answers=4, left_out=0)
    assert read_feedback(store.path) == feedback
    assert store.annotators() == ["ann"]


def test_items_that_are_there_get_the_answers_whatever_the_order(store):
    store.add_items([Item("p", ("b", "a")), Item("r", ("z", "y", "x"))])
    ratings = [Rating("r", "x", 0.0), Rating("r", "y", 0.5), Rating("r", "z", 1.0)]
    assert import_feedback(store, Feedback([Preference("p", "a", "b")], ratings), "ann").new == 0
    assert {given.item_id: given.answer for given in store.current_answers()} == {
        1: Answer(best=1),
        2: Answer(ratings=(5, 3, 1)),
    }


def test_the_first_completion_is_not_the_chosen_one_every_time(store):
    import_feedback(store, Feedback([Preference(f"p{i}", f"{i}", f"{9 - i}") for i in range(10)]), "ann")
    assert {given.answer.best for given in store.current_answers()} == {0, 1}


def test_many_ratings_of_a_prompt_are_items_of_two_to_four(store):
    import_feedback(store, Feedback(ratings=[Rating("p", f"c{i}", i / 8) for i in range(9)]), "ann")
    assert sorted(len(item.completions) for item in store.items().values()) == [3, 3, 3]
    assert len(read_feedback(store.path).ratings) == 9


def test_what_has_nothing_to_be_compared_with_is_left_out(store, caplog):
    feedback = Feedback([Preference("p", "a", "b")], [Rating("q", "alone", 1.0)], [Demonstration("q", "x")])
    with caplog.at_level(logging.WARNING):
        assert import_feedback(store, feedback, "ann").left_out == 2
    assert "2 of 3 examples are left out" in caplog.text
    with pytest.raises(DataError, match="none of 1 examples can be imported"):
        import_feedback(store, Feedback(demonstrations=[Demonstration("q", "x")]), "ann")


def test_nobody_cannot_import(store):
    with pytest.raises(DataError, match="an annotator needs a name"):
        import_feedback(store, Feedback([Preference("p", "a", "b")]), "")
    assert store.items() == {}
