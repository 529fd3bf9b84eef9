import json

import pytest

from agents.feedback.answers import Answer, Item
from agents.feedback.examples import Preference
from agents.feedback.files import read_feedback, write_preferences
from agents.feedback.store import FeedbackStore


@pytest.fixture
def store(tmp_path):
    made = FeedbackStore(tmp_path / "a.sqlite")
    made.add_items([Item(f"[b]p{i}", (f"good {i}", f"bad {i}"), ("[red]old", "new")) for i in range(4)])
    return made


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_simulate_answers_what_is_open(cli, store):
    result = cli("feedback", "simulate", "a.sqlite", "--reward", "sentiment", "-T", 0, "--annotator", "sim")
    assert (result.exit_code, result.stdout) == (0, "4 answers of sim in a.sqlite\n")
    assert {given.answer for given in store.current_answers("sim")} == {Answer(best=0)}
    assert cli("feedback", "simulate", "a.sqlite", "-r", "sentiment", "-a", "sim").stdout.startswith("0 answers")


def test_simulate_rates_where_a_range_is_given(cli, store):
    cli("feedback", "simulate", "a.sqlite", "-r", "sentiment", "-T", 0, "--rating-range", 0, 1)
    assert {given.answer.ratings for given in store.current_answers()} == {(4, 2)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("preferences", [{"prompt": "[b]p0", "chosen": "good 0", "rejected": "bad 0"}]),
        (
            "unpaired",
            [
                {"prompt": "[b]p0", "completion": "good 0", "label": True},
                {"prompt": "[b]p0", "completion": "bad 0", "label": False},
            ],
        ),
        ("ratings", [{"prompt": "[b]p0", "completion": "good 0", "score": 1.0}]),
        ("demonstrations", [{"prompt": "[b]p1", "completion": "better"}]),
    ],
)
def test_export_writes_json_lines(cli, store, tmp_path, kind, expected):
    store.add_answer(1, "ann", Answer(best=0, ratings=(5, None)))
    store.add_answer(2, "ann", Answer(edited=0, edit="better", flag="odd"))
    result = cli("feedback", "export", "a.sqlite", "-o", "out.jsonl", "--kind", kind)
    assert result.exit_code == 0, result.output
    found = rows(tmp_path / "out.jsonl")
    assert [row for row in found if row in expected] == expected
    assert result.stdout == f"{len(found)} rows of {kind} in out.jsonl\n"


def test_export_without_flagged_items(cli, store, tmp_path):
    store.add_answer(1, "ann", Answer(best=0))
    store.add_answer(1, "bob", Answer(flag="odd"))
    result = cli("feedback", "export", "a.sqlite", "-o", "out.jsonl", "--without-flagged")
    assert result.exit_code == 2
    assert "has no answer to learn from" in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_import_and_export_are_inverse(cli, tmp_path):
    pairs = [Preference("p", "b", "a"), Preference("q", "c", "d", tie=True)]
    write_preferences(tmp_path / "pairs.jsonl", pairs)
    result = cli("feedback", "import", "b.sqlite", "pairs.jsonl", "--annotator", "ann")
    assert (result.exit_code, result.stdout) == (0, "2 answers of ann to 2 items in b.sqlite, 2 of them new\n")
    assert read_feedback(tmp_path / "b.sqlite").preferences == pairs
    cli("feedback", "export", "b.sqlite", "-o", "again.jsonl")
    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "pairs.jsonl").read_text()


def test_import_of_bad_files_makes_no_store(cli, tmp_path):
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "a"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    for source, message in (("pairs.jsonl", "row 1 of pairs.jsonl has identical texts"), ("empty.jsonl", "is empty")):
        result = cli("feedback", "import", "b.sqlite", source, "-a", "ann")
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "b.sqlite").exists()


def test_import_drops_identical_texts_where_asked(cli, tmp_path):
    lines = [json.dumps({"prompt": "p", "chosen": "a", "rejected": other}) for other in "ab"]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    result = cli("feedback", "import", "b.sqlite", "pairs.jsonl", "-a", "ann", "--drop-identical")
    assert result.stdout == "1 answers of ann to 1 items in b.sqlite, 1 of them new\n"
    assert "1 pairs of identical texts are left out" in result.stderr


def test_agreement_shows_counts_and_alpha(cli, store):
    assert cli("feedback", "agreement", "a.sqlite").stdout == "nobody has answered yet\n"
    for name, bests in (("ann [b]", (0, 0, 1, 1)), ("bob", (0, 0, 1, 0))):
        for item_id, best in enumerate(bests, start=1):
            store.add_answer(item_id, name, Answer(best=best))
    shown = cli("feedback", "agreement", "a.sqlite").stdout
    assert "ann [b] / bob" in shown
    assert "75%" in shown
    assert "choices, nominal   0.533" in shown
    assert "ratings, ordinal   -" in shown
    found = json.loads(cli("feedback", "agreement", "a.sqlite", "--json").stdout)
    assert found["choices_alpha"] == pytest.approx(0.5333, abs=1e-4)
    assert found["counts"]["bob"]["choices"] == 4
    assert found["pairs"] == [{"annotators": ["ann [b]", "bob"], "items": 4, "agreement": 0.75}]


def test_a_feedback_file_that_is_not_there_is_not_made(cli, store, tmp_path):
    for command in (("agreement", "b.sqlite"), ("simulate", "b.sqlite", "-r", "sentiment")):
        result = cli("feedback", *command)
        assert result.exit_code == 2
        assert "there is no feedback file 'b.sqlite'. Did you mean 'a.sqlite'" in result.stderr
    assert not (tmp_path / "b.sqlite").exists()
