"""The small world, column files and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lm_envs.errors import DataError, UnknownNameError
from lm_envs.tagging.loading import load_sentences
from lm_envs.tagging.scheme import entities
from lm_envs.world.entities import ENTITY_TYPES, TYPE_OF_SLOT, entity_sentences, label_fact
from lm_envs.world.passages import FRAMES, passage_items

FILE = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

"""


def test_the_world_labels_what_its_slots_hold() -> None:
    for passage in passage_items("validation")[:200]:
        for fact in passage.facts:
            found = label_fact(fact)
            named = [" ".join(found.words[e.start : e.end]) for e in entities(found.labels)]
            told = {slot: value for slot, value in fact.slots.items() if slot in TYPE_OF_SLOT}
            if "animal" in told:
                told["animal"] = f"{told.pop('colour')} {told['animal']}"
            person = [fact.person] if fact.person in found.words else []
            assert sorted(named) == sorted([*told.values(), *person])


def test_the_world_has_every_type_in_disjoint_splits() -> None:
    assert {slot for frame in FRAMES.values() for slot in frame} - TYPE_OF_SLOT.keys() == {"friend"}
    texts = {split: {s.words for s in entity_sentences(split)} for split in ("train", "validation", "test")}
    assert [len(found) for found in texts.values()] == [4096, 512, 512]
    assert not texts["train"] & texts["test"] and not texts["validation"] & (texts["train"] | texts["test"])
    loaded = load_sentences("entities", "test")
    assert loaded.scheme.types == ENTITY_TYPES
    assert {e.type for sentence in loaded for e in entities(sentence.labels)} == set(ENTITY_TYPES)
    with pytest.raises(UnknownNameError, match="Did you mean 'test'"):
        load_sentences("entities", "tset")


def test_a_column_file(tmp_path: Path) -> None:
    path = tmp_path / "sentences.conll"
    path.write_text(FILE)
    first, second = load_sentences(str(path))
    assert (first.words, first.labels) == (("EU", "rejects", "German"), ("B-ORG", "O", "B-MISC"))
    assert second.text == "Peter Blackburn" and second.labels == ("B-PER", "I-PER")
    assert load_sentences(path).scheme.types == ("MISC", "ORG", "PER")
    chunks = load_sentences(path, label_column=2)
    assert chunks.scheme.types == ("NP", "VP") and chunks[1].labels == ("B-NP", "I-NP")


def test_tabs_keep_words_with_spaces(tmp_path: Path) -> None:
    path = tmp_path / "sentences.tsv"
    path.write_text("New York\tB-LOC\r\n.\tO\r\n")
    (sentence,) = load_sentences(path)
    assert sentence.words == ("New York", ".")


def test_a_folder(tmp_path: Path) -> None:
    for name, text in {"train": "a B-X\n", "dev": "b O\n\nc B-Y", "test.a": "d O"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    assert [len(load_sentences(tmp_path, split)) for split in ("train", "validation", "test")] == [1, 2, 1]
    assert load_sentences(tmp_path, "test").scheme.types == ("X", "Y")  # of all splits


def rows(n: int) -> list[dict[str, Any]]:
    return [{"words": [f"w{i}", "."], "labels": ["B-X", "O"]} for i in range(n)]


def test_rows_are_split_by_their_hash() -> None:
    parts = [load_sentences(rows(60), split) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 60 and min(map(len, parts)) > 0
    assert len({sentence.words for part in parts for sentence in part}) == 60
    named = [{**row, "split": "dev" if i < 5 else "train"} for i, row in enumerate(rows(20))]
    assert [len(load_sentences(named, split)) for split in ("train", "validation")] == [15, 5]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "has no sentence"),
        ("-DOCSTART- O\n\n", {}, "has no sentence"),
        ("a\nb", {}, "line 1 of .*, word 1 of sentence 1, has the columns \\['a'\\]"),
        ("a O\n\nb O\nc O", {"label_column": 5}, "word 1 of sentence 1, .* in another column, 5. Pass token_column="),
        ("a O\n", {"token_column": 1}, "a word in column 1 and its label in another column, -1"),
        ("a\tO\n \tO\n", {}, "line 2 of .*, word 2 of sentence 1, has the columns \\[' ', 'O'\\]"),
        ("a X O\n\nb X O\nc O", {}, "line 4 .* word 2 of sentence 2, has 2 columns, .* and line 1 has 3; expected as"),
        ("a X O\nb c X O", {}, "line 2 .* has 4 columns, .* line 1 has 3; .*or by tabs, which let words have spaces"),
        ("# 1\n\na X O", {}, "line 3 .* has 3 columns, .* line 1 has 2; .*take out comments"),
        ("a O\nb S-X", {}, "sentence 1 of .* has the label 'S-X'.*of BIOES or BILOU: write S- and U- as B-"),
        ("a O\nb b-X", {}, "has the label 'b-X'.*upper case up to the hyphen"),
        ("a NN\n", {}, "has the label 'NN'.*label_column"),
        ("a O\n\nb O\nc I-X", {}, "word 2 of sentence 2 of .*'I-X' after 'O'.*iob1"),
        ("a B-Y\n", {"types": ["X"]}, "word 1 of sentence 1 of .* unknown label 'B-Y'"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_sentences(path, **options)


def test_iob1_is_read_when_told(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text("a I-X\nb I-X\nc B-X\n")
    assert load_sentences(path, scheme="iob1")[0].labels == ("B-X", "I-X", "B-X")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "expected sentences from 'entities'"),
        (3, "expected sentences from 'entities'"),
        (["a b"], "expected sentences from 'entities'"),
        ([{"words": "a b", "labels": ["O", "O"]}], "row 1 .*'words'"),
        ([{"words": ["a"]}], "row 1 .*unknown key 'labels'. .*Known: words. Rename it"),
        ([{"word": ["a"], "labels": ["O"]}], "row 1 .*unknown key 'words'. Did you mean 'word'"),
        ([{"words": ["a"], "labels": [3]}], r"row 1 .*'labels'; got \[3\]. Numbers of labels have names"),
        ([{"words": ["a", ""], "labels": ["O", "O"]}], "row 1 .*'words'"),
        ([{"words": ["a", "b"], "labels": ["O"]}], "sentence 1 .*2 words and 1 labels"),
        ([{"words": [], "labels": []}], "0 words"),
        ("nowhere.conll", "there is no file or folder 'nowhere.conll'"),
        ("entitys", "there is no file or folder 'entitys'. Did you mean 'entities'"),
    ],
)
def test_bad_sources(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_sentences(source)


def test_messages_have_the_numbers_of_the_whole_source(tmp_path: Path) -> None:
    broken = [*rows(60), {"words": ["a", "b"], "labels": ["B-X", "I-Y"]}]
    for split in ("train", "validation", "test"):
        with pytest.raises(
            DataError, match="word 2 of sentence 61 of the list of sentences has the label 'I-Y' after 'B"
        ):
            load_sentences(broken, split)
    (tmp_path / "train.txt").write_text("a O\n")
    (tmp_path / "dev.txt").write_text("a O\n\nb I-X\n")
    assert len(load_sentences(tmp_path)) == 1
    with pytest.raises(DataError, match=r"word 1 of sentence 2 of .* \(validation\) has the label 'I-X'"):
        load_sentences(tmp_path, "dev")


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_a_table_is_no_column_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_text("[]")
    with pytest.raises(DataError, match="is no column file.*Or read it and pass a list of rows"):
        load_sentences(path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bytes.txt"
    path.write_bytes(b"\xff\xfe\x00O")
    with pytest.raises(DataError, match="not UTF-8"):
        load_sentences(path)
    with pytest.raises(DataError, match=r"has no column files.*notes.md"):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "notes.md").write_text("")
        load_sentences(tmp_path / "folder")
