import pytest

from agents.cli.label_terminal import label_in_terminal
from agents.cli.messages import console
from agents.feedback.answers import Answer, Item
from agents.feedback.order import shown_order
from agents.feedback.store import FeedbackStore
from lm_envs.errors import DataError


@pytest.fixture
def store(tmp_path):
    made = FeedbackStore(tmp_path / "a.sqlite")
    made.add_items([Item(f"p{i}", (f" a{i}", f" b{i}", f" c{i}")) for i in range(3)])
    return made


@pytest.fixture
def label(store, capsys, monkeypatch):
    """Label with typed lines; what was shown on standard output and error."""
    monkeypatch.setenv("COLUMNS", "100")
    console.cache_clear()

    def run(*lines, annotator="ann", store=store):
        typed = iter(lines)

        def ask(_):
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        run.n_answers = label_in_terminal(store, annotator, ask)
        return capsys.readouterr()

    yield run
    console.cache_clear()


def said(store, annotator="ann"):
    return {given.item_id: given.answer for given in store.current_answers(annotator)}


def test_numbers_are_those_of_the_shown_order(store, label):
    label("1", "2", "3")
    orders = [shown_order(item_id, "ann", 3) for item_id in (1, 2, 3)]
    assert said(store) == {item_id: Answer(best=orders[item_id - 1][item_id - 1]) for item_id in (1, 2, 3)}
    assert label.n_answers == 3


def test_completions_are_shown_in_the_annotators_order(store, label):
    out = label("q").out
    places = [out.index(f"{place}  {'abc'[number]}0") for place, number in enumerate(shown_order(1, "ann", 3), 1)]
    assert places == sorted(places)


def test_labelling_goes_on_where_it_was_left(store, label):
    assert "item 1 of 3" in label("t", "q").out
    shown = label("s").out
    assert "item 2 of 3" in shown and "p0" not in shown
    assert "2 of 3 items are answered" in shown
    assert label("d", "q", annotator="bob").out.count("p0") == 1
    assert said(store) == {1: Answer(tie=True), 2: Answer(skip=True)}


def test_ratings_edits_and_flags_are_added_to_the_answer(store, label):
    order = shown_order(1, "ann", 3)
    label("r 5 - 1", "e 2", "better\\nstill", "f", "odd", "1")
    ratings = dict(zip(order, (5, None, 1), strict=True))
    expected = Answer(
        order[0], ratings=(ratings[0], ratings[1], ratings[2]), edited=order[1], edit=" better\nstill", flag="odd"
    )
    assert said(store) == {1: expected}


def test_an_answer_without_a_choice_is_sent_by_d(store, label):
    label("f spam", "d", "r 1 1 1", "d")
    assert said(store) == {1: Answer(flag="spam"), 2: Answer(ratings=(1, 1, 1))}


def test_undo_shows_the_item_again(store, label):
    shown = label("1", "u", "t", "u", "u", "q")
    assert shown.out.count("p0") == 4
    assert "there is nothing to undo" in shown.err
    assert said(store) == {}
    assert len(store.history()) == 2
    assert label.n_answers == 0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["4"], "completions have the numbers 1 to 3; got '4'"),
        (["0"], "completions have the numbers 1 to 3; got '0'"),
        (["x"], "'x' is no key; ? explains them"),
        (["d"], "an answer says something"),
        (["r 1 2"], "expected 3 ratings, - for none, for example 'r 4 -'; got 2"),
        (["r 1 2 6"], "a rating is a number from 1 to 5, or -; got '6'"),
        (["e", "9"], "completions have the numbers 1 to 3; got '9'"),
        (["e 1", " "], "an edit is not empty"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(store, label, lines, message):
    assert message in label(*lines).err
    assert said(store) == {}


def test_a_mistake_loses_nothing_of_the_answer(store, label):
    label("f odd", "r 1", "9", "1")
    assert said(store) == {1: Answer(best=shown_order(1, "ann", 3)[0], flag="odd")}


def test_texts_cannot_steer_the_terminal(tmp_path, label):
    other = FeedbackStore(tmp_path / "b.sqlite")
    other.add_items([Item("[bold]p[/bold] \x1b[31m", ("[red]a", "\x07b"))])
    out = label("?", store=other).out
    assert "[bold]p[/bold] �[31m" in out and "[red]a" in out and "�b" in out
    assert "\x1b" not in out and "\x07" not in out
    assert "take back your last answer" in out


def test_a_store_without_items_and_nobody(tmp_path, label):
    empty = FeedbackStore(tmp_path / "b.sqlite")
    with pytest.raises(DataError, match="has no items to label. Sample some: lm-envs collect"):
        label_in_terminal(empty, "ann")
    with pytest.raises(DataError, match="an annotator needs a name"):
        label_in_terminal(empty, " ")
