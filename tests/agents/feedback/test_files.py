import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.feedback.answers import Answer, Item
from agents.feedback.examples import Demonstration, Feedback, Preference, Rating
from agents.feedback.files import (
    open_store,
    read_feedback,
    unpaired_of,
    write_demonstrations,
    write_preferences,
    write_ratings,
    write_unpaired,
)
from agents.feedback.store import FeedbackStore
from lm_envs.errors import ConfigurationError, DataError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PAIRS = st.tuples(TEXTS, TEXTS, TEXTS, st.floats(0, 1e6), st.booleans()).filter(lambda values: values[1] != values[2])
ROW = {"prompt": "p", "chosen": "good", "rejected": "bad"}


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(PAIRS, min_size=1, max_size=5))
def test_preferences_come_back_as_they_were_written(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("files") / "pairs.jsonl"
    preferences = [Preference(*values) for values in pairs]
    assert write_preferences(path, preferences) == len(pairs)
    assert read_feedback(path) == Feedback(preferences=preferences)


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, st.floats(0, 1)), min_size=1, max_size=5))
def test_ratings_and_demonstrations_come_back_as_they_were_written(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("files")
    ratings, texts = [Rating(*row) for row in rows], [Demonstration(*row[:2]) for row in rows]
    write_ratings(folder / "a.jsonl", ratings)
    write_demonstrations(folder / "b.jsonl", texts)
    assert read_feedback(folder) == Feedback(ratings=ratings, demonstrations=texts)


def test_unpaired_rows_have_labels_and_say_nothing_of_the_middle(tmp_path):
    path = tmp_path / "labels.jsonl"
    ratings = [Rating("p", "a", 1.0), Rating("p", "b", 0.5), Rating("p", "c", 0.25)]
    assert write_unpaired(path, ratings) == 2
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"prompt": "p", "completion": "a", "label": True},
        {"prompt": "p", "completion": "c", "label": False},
    ]
    assert read_feedback(path).ratings == [Rating("p", "a", 1.0), Rating("p", "c", 0.0)]


def test_unpaired_of_takes_comparisons_apart_but_not_ties():
    feedback = Feedback([Preference("p", "a", "b"), Preference("p", "a", "c"), Preference("p", "d", "e", tie=True)])
    assert unpaired_of(feedback) == [Rating("p", "a", 1.0), Rating("p", "b", 0.0), Rating("p", "c", 0.0)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW | {"margin": 2, "tie": None}, Preference("p", "good", "bad", 2.0)),
        (ROW | {"tie": True}, Preference("p", "good", "bad", tie=True)),
        ({"prompt": "p", "completion": "c"}, Demonstration("p", "c")),
        ({"prompt": "p", "completion": "c", "label": False}, Rating("p", "c", 0.0)),
        ({"prompt": "p", "completion": "c", "rating": 4}, Rating("p", "c", 0.75)),
        ({"prompt": "p", "completion": "c", "score": 0.3, "label": True}, Rating("p", "c", 0.3)),
        (
            {
                "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}],
                "chosen": [{"role": "assistant", "content": "good"}],
                "rejected": [{"role": "assistant", "content": "bad"}],
            },
            Preference("s\np", "good", "bad"),
        ),
        (  # the prompt is what both conversations begin with
            {
                "chosen": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "good"}],
                "rejected": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "bad"}],
            },
            Preference("p", "good", "bad"),
        ),
    ],
)
def test_rows_in_the_formats_of_trl(tmp_path, row, expected):
    feedback = read_feedback(lines(tmp_path / "rows.jsonl", row))
    assert [*feedback.preferences, *feedback.ratings, *feedback.demonstrations] == [expected]


def test_tables_other_than_json_lines(tmp_path):
    (tmp_path / "a.csv").write_text('prompt,completion,label\np,"one, two",True\np,x,0\n')
    (tmp_path / "b.json").write_text(json.dumps([ROW]))
    (tmp_path / "notes.txt").write_text("no table")
    assert read_feedback(tmp_path) == Feedback(
        [Preference("p", "good", "bad")], [Rating("p", "one, two", 1.0), Rating("p", "x", 0.0)]
    )


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    parquet.write_table(pyarrow.Table.from_pylist([ROW]), tmp_path / "a.parquet")
    parquet.write_table(
        pyarrow.Table.from_pylist([], pyarrow.schema([("prompt", pyarrow.string())])), tmp_path / "b.parquet"
    )
    assert read_feedback(tmp_path / "a.parquet").preferences == [Preference("p", "good", "bad")]
    with pytest.raises(DataError, match=r"b\.parquet is empty"):
        read_feedback(tmp_path / "b.parquet")


def test_several_files_are_joined_in_their_order(tmp_path):
    first = lines(tmp_path / "z.jsonl", ROW)
    second = lines(tmp_path / "a.jsonl", ROW | {"chosen": "better"})
    assert [p.chosen for p in read_feedback([first, second]).preferences] == ["good", "better"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "choosen": "a", "rejected": "b"}, r"row 2 .* unknown column 'chosen'. Did you mean 'choosen'"),
        ({"prompt": "p", "choosen": "a", "rejcted": "b"}, r"unknown column 'chosen'. Did you mean 'choosen'"),
        ({"prompt": "p", "completions": "a"}, r"unknown column 'completion'. Did you mean 'completions'"),
        ({"chosen": "a", "rejected": "b"}, r"row 2 .* unknown column 'prompt'"),
        ({"text": "a"}, r"Expected the columns prompt, chosen and rejected"),
        (ROW | {"chosen": 3}, r"row 2 .* has 3 \(int\) in the column 'chosen'; expected a text or a list of messages"),
        (ROW | {"chosen": [{"role": "assistant"}]}, r"message 1 in the column 'chosen' of row 2"),
        (ROW | {"chosen": "\ud800"}, r"row 2 .* half of a character"),
        (ROW | {"margin": -1}, r"row 2 .* margin -1.0; expected at least 0"),
        (ROW | {"margin": "much"}, r"row 2 .* 'much' in the column 'margin'; expected a number"),
        (ROW | {"tie": "maybe"}, r"'maybe' in the column 'tie'; expected true or false"),
        ({"prompt": "p", "completion": "c", "label": 4}, r"4 in the column 'label'; expected true or false. Numbers"),
        ({"prompt": "p", "completion": "c", "rating": 0}, r"rating 0; expected a number from 1 to 5"),
        ({"prompt": "p", "completion": "c", "score": 4}, r"score 4; expected a number from 0 to 1"),
    ],
)
def test_a_row_that_is_not_understood(tmp_path, row, message):
    path = lines(tmp_path / "rows.jsonl", ROW, row)
    with pytest.raises(DataError, match=message):
        read_feedback(path)


def test_identical_texts_raise_and_name_the_row_or_are_dropped(tmp_path, caplog):
    path = lines(tmp_path / "pairs.jsonl", ROW, ROW | {"chosen": "bad"})
    with pytest.raises(DataError, match=r"row 2 of .*pairs.jsonl has identical texts"):
        read_feedback(path)
    with caplog.at_level(logging.WARNING):
        assert len(read_feedback(path, on_identical="drop")) == 1
    assert "1 pairs of identical texts are left out, the first in row 2" in caplog.text
    with pytest.raises(ConfigurationError, match="on_identical has to be"):
        read_feedback(path, on_identical="ignore")


def test_only_identical_pairs_leave_nothing(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", ROW | {"chosen": "bad"})
    with pytest.raises(DataError, match="no row to learn from"):
        read_feedback(path, on_identical="drop")


def test_files_that_are_not_there_or_empty(tmp_path):
    lines(tmp_path / "pairs.jsonl", ROW)
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "empty.db").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "words.txt").write_text("a")
    with pytest.raises(DataError, match=r"there is no file or folder .*Did you mean '.*pairs\.jsonl'"):
        read_feedback(tmp_path / "pair.jsonl")
    with pytest.raises(DataError, match=r"empty\.jsonl is empty"):
        read_feedback(tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match=r"empty\.db is empty"):
        read_feedback(tmp_path / "empty.db")
    with pytest.raises(DataError, match="has no file of feedback"):
        read_feedback(tmp_path / "folder")
    with pytest.raises(DataError, match=r"unknown file format '\.txt'"):
        read_feedback(tmp_path / "words.txt")
    with pytest.raises(DataError, match="expected at least one file"):
        read_feedback([])
    assert (tmp_path / "empty.db").read_bytes() == b""


def test_nothing_to_write_leaves_the_file_as_it_is(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", ROW)
    with pytest.raises(DataError, match="there are no preferences to write"):
        write_preferences(path, [])
    assert len(read_feedback(path)) == 1
    with pytest.raises(ConfigurationError, match="there is no folder"):
        write_preferences(tmp_path / "no" / "pairs.jsonl", [Preference("p", "a", "b")])


def test_a_store_is_read_as_its_answers_that_count(tmp_path):
    store = FeedbackStore(tmp_path / "answers.sqlite")
    store.add_items([Item("p", ("a", "b", "c")), Item("q", ("x", "y"))])
    with pytest.raises(DataError, match="has no answer to learn from: 0 answers"):
        read_feedback(store.path)
    store.add_answer(1, "ann", Answer(best=0))
    store.add_answer(1, "ann", Answer(best=1, ratings=(2, None, 5)))
    store.add_answer(2, "ann", Answer(tie=True, flag="odd"))
    store.add_answer(2, "bob", Answer(edited=1, edit="z"))
    choices = [Preference("p", "b", "a"), Preference("p", "b", "c")]
    ratings = [Rating("p", "a", 0.25), Rating("p", "c", 1.0)]
    on_q = [Preference("q", "x", "y", tie=True), Preference("q", "z", "y")]
    assert read_feedback(store.path) == Feedback([*choices, *on_q], ratings, [Demonstration("q", "z")])
    assert read_feedback(store.path, leave_out_flagged=True) == Feedback(choices, ratings)


def test_open_store_makes_no_file(tmp_path):
    FeedbackStore(tmp_path / "answers.sqlite")
    with pytest.raises(DataError, match=r"Did you mean '.*answers\.sqlite'"):
        open_store(tmp_path / "answer.sqlite")
    assert not (tmp_path / "answer.sqlite").exists()
