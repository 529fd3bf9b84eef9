import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.feedback.answers import Answer, Item
from agents.feedback.store import FeedbackStore, Progress
from lm_envs.errors import ConfigurationError, DataError

ITEMS = [Item(f"p{i}", (f"a{i}", f"b{i}"), ("old", "new")) for i in range(3)]


@pytest.fixture
def store(tmp_path):
    made = FeedbackStore(tmp_path / "answers.sqlite")
    assert made.add_items(ITEMS) == 3
    return made


def said(store, annotator=None):
    return {(given.item_id, given.annotator): given.answer for given in store.current_answers(annotator)}


def test_items_come_back_and_are_added_once(store):
    assert store.add_items([Item("p0", ("b0", "a0")), Item("new", ("x", "y"))]) == 1
    assert list(store.items().values()) == [*ITEMS, Item("new", ("x", "y"))]
    assert store.item(2) == ITEMS[1]
    assert store.number_of(Item("p2", ("b2", "a2"))) == 3
    assert store.number_of(Item("nobody", ("x", "y"))) is None


def test_the_last_answer_counts_and_both_are_kept(store):
    store.add_answer(1, "ann", Answer(best=0))
    store.add_answer(1, "bob", Answer(best=0))
    store.add_answer(1, "ann", Answer(best=1, ratings=(2, 4)))
    assert said(store) == {(1, "bob"): Answer(best=0), (1, "ann"): Answer(best=1, ratings=(2, 4))}
    assert [given.answer.best for given in store.history("ann")] == [0, 1]


def test_annotators_go_on_where_they_left_off(store):
    assert store.next_item("ann") == (1, ITEMS[0])
    store.add_answer(1, " ann ", Answer(best=0))
    store.add_answer(3, "ann", Answer(skip=True))
    assert store.next_item("ann") == (2, ITEMS[1])
    assert store.progress("ann ") == Progress(2, 3)
    store.add_answer(2, "ann", Answer(tie=True))
    assert store.next_item("ann") is None
    assert store.next_item("bob") == (1, ITEMS[0])
    assert store.annotators() == ["ann"]


def test_a_request_is_written_once(store):
    assert store.add_answer(1, "ann", Answer(best=0), request="r1")
    assert not store.add_answer(1, "ann", Answer(best=0), request="r1")
    assert len(store.history()) == 1
    assert [store.undo("ann", request="u1"), store.undo("ann", request="u1")] == [1, 1]
    store.add_answer(2, "ann", Answer(best=0))
    assert store.undo("ann", request="u1") == 1
    assert said(store) == {(2, "ann"): Answer(best=0)}


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers(1, 3), st.sampled_from(["ann", "bob"]), st.integers(0, 1)),
        st.tuples(st.just("undo"), st.none(), st.sampled_from(["ann", "bob"]), st.none()),
    ),
    max_size=10,
)


@settings(max_examples=20, deadline=None)
@given(acts=ACTS)
def test_answers_and_undos_in_any_order(tmp_path_factory, acts):
    """The store agrees with a dictionary of which the youngest entry is taken back."""
    store = FeedbackStore(tmp_path_factory.mktemp("store") / "answers.sqlite")
    store.add_items(ITEMS)
    expected, n_answers = {}, 0
    for kind, item_id, annotator, best in acts:
        if kind == "answer":
            store.add_answer(item_id, annotator, Answer(best=best))
            expected.pop((item_id, annotator), None)
            expected[item_id, annotator] = Answer(best=best)
            n_answers += 1
        else:
            own = [key for key in expected if key[1] == annotator]
            assert store.undo(annotator) == (own[-1][0] if own else None)
            expected.pop(own[-1] if own else None, None)
    assert list(said(store).items()) == list(expected.items())
    assert len(store.history()) == n_answers


def test_answers_that_cannot_be_written(store):
    with pytest.raises(DataError, match="there is no item 9"):
        store.add_answer(9, "ann", Answer(best=0))
    with pytest.raises(DataError, match="from 0 to 1; got 2"):
        store.add_answer(1, "ann", Answer(best=2))
    for name in (" ", "a\nb", "x" * 81):
        with pytest.raises(DataError, match="an annotator needs a name"):
            store.add_answer(1, name, Answer(best=0))
    assert store.history() == []


def test_files_that_are_no_store(tmp_path):
    (tmp_path / "text.sqlite").write_text("this is a text and no database" * 10)
    with pytest.raises(DataError, match="is no SQLite file"):
        FeedbackStore(tmp_path / "text.sqlite")
    for name, statement in (("foreign", "CREATE TABLE t (x)"), ("newer", "PRAGMA user_version = 9")):
        with sqlite3.connect(tmp_path / name) as db:
            db.execute(statement)
        db.close()
        before = (tmp_path / name).read_bytes()
        with pytest.raises(DataError, match="no store of feedback that this version reads"):
            FeedbackStore(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(ConfigurationError, match="there is no folder"):
        FeedbackStore(tmp_path / "no" / "answers.sqlite")


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"")
    assert FeedbackStore(tmp_path / "answers.sqlite").add_items(ITEMS) == 3


_MANY = """
import sys
from agents.feedback.answers import Answer, Item
from agents.feedback.store import FeedbackStore
for folder in sys.argv[2:]:
    print("ready", flush=True)
    sys.stdin.readline()  # so that all begin at once
    store = FeedbackStore(f"{folder}/answers.sqlite")
    store.add_items([Item(f"p{i}", ("a", "b")) for i in range(3)])
    for item_id in (1, 2, 3):
        store.add_answer(item_id, sys.argv[1], Answer(best=0))
"""


def test_several_processes_make_one_file_and_write_at_once(tmp_path):
    folders = [tmp_path / str(trial) for trial in range(8)]
    for folder in folders:
        folder.mkdir()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _MANY, f"worker {i}", *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(4)
    ]
    for folder in folders:
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4, f"failed before {folder.name}"
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
    assert [worker.returncode for worker in workers] == [0] * 4
    for folder in folders:
        store = FeedbackStore(folder / "answers.sqlite")
        assert len(store.items()) == 3
        assert len(store.current_answers()) == len(store.history()) == 12


_ENDLESS = """
import sys
from agents.feedback.answers import Answer
from agents.feedback.store import FeedbackStore
store = FeedbackStore(sys.argv[1])
for number in range(10**6):
    store.add_answer(number % 3 + 1, "ann", Answer(best=0), request=f"{sys.argv[2]} {number}")
    print(number, flush=True)
"""


def test_a_killed_process_loses_no_acknowledged_answer(store):
    acknowledged = 0
    for trial in range(3):
        command = [sys.executable, "-c", _ENDLESS, str(store.path), str(trial)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(10 + 7 * trial):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read().split("\n")[:-1]  # whole lines only
        acknowledged += 10 + 7 * trial + len(rest)
    written = len(store.history())
    assert acknowledged <= written <= acknowledged + 3  # one answer of each may be written and not yet reported
    assert store.add_answer(1, "ann", Answer(best=1))
