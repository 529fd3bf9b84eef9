"""Every mistake in a file of dialogues is reported with its row and message."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lm_envs.data import load_dialogues
from lm_envs.errors import DataError

SYSTEM = {"role": "system", "content": "Be kind."}
HELLO = {"role": "user", "content": "Hello."}
HI = {"role": "assistant", "content": "Hi."}


def write(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def many(n: int) -> list[dict]:
    return [{"messages": [{**HELLO, "content": f"Hello {i}."}, HI], "topic": i} for i in range(n)]


class TestSources:
    def test_json_lines(self, tmp_path: Path) -> None:
        rows = [{"messages": [SYSTEM, HELLO, HI, HELLO], "topic": "greeting"}, {"messages": [HELLO, HI]}]
        table = load_dialogues(write(tmp_path / "chats.jsonl", rows))
        assert table == {"messages": [row["messages"] for row in rows], "topic": ["greeting", None]}

    def test_folder_with_a_file_for_each_split(self, tmp_path: Path) -> None:
        write(tmp_path / "train.jsonl", many(3))
        write(tmp_path / "test.jsonl", many(1))
        assert len(load_dialogues(tmp_path)["messages"]) == 3
        assert load_dialogues(tmp_path, split="test")["topic"] == [0]

    def test_parquet_and_data_sets(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        data = datasets.Dataset.from_list(many(2))
        data.to_parquet(tmp_path / "chats.parquet")
        assert load_dialogues(data) == load_dialogues(tmp_path / "chats.parquet") == load_dialogues(many(2))

    def test_splits_share_no_dialogue(self) -> None:
        splits = [load_dialogues(many(60), split=split)["topic"] for split in ("train", "validation", "test")]
        assert all(splits)
        assert sorted(topic for split in splits for topic in split) == list(range(60))
        assert splits[0] == load_dialogues(many(60))["topic"]

    def test_few_dialogues_are_in_every_split(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert load_dialogues(many(2), split="test") == load_dialogues(many(2))
        assert "too few to split" in caplog.text

    def test_columns(self) -> None:
        rows = [{"talk": [HELLO, HI], "topic": 1, "id": 2}]
        assert load_dialogues(rows, messages_column="talk", columns=["id"]) == {"talk": [[HELLO, HI]], "id": [2]}
        with pytest.raises(DataError, match="unknown column 'topics'. Did you mean 'topic'"):
            load_dialogues(rows, messages_column="talk", columns=["topics"])


def nth(n: int, row: Any) -> list:
    """A data set whose last and ``n``-th row is ``row``."""
    return [*many(n - 1), row]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"message": [HELLO, HI], "id": 3},
            r"row 3 of .*chats.jsonl has no messages: unknown column 'messages'. Did you mean 'message'\? "
            r"Known: id, message. Expected a list of \{'role'.*messages_column=",
        ),
        ({"messages": None, "id": 3}, "row 3 of .* has no messages: unknown column 'messages'.* Known: id. Expected"),
        ({"messages": "Hello."}, r"row 3 of .* has 'Hello.' \(str\) in the column 'messages'; expected a list of mess"),
        ({"messages": {"role": "user"}}, r"row 3 of .* \(dict\) in the column 'messages'; expected a list"),
        ({"messages": 7}, r"row 3 of .* has 7 \(int\)"),
        ({"messages": ["Hello.", "Hi."]}, "message 1 of row 3 of .* is 'Hello.'; expected a mapping with the keys"),
        ({"messages": [HELLO, {"from": "gpt", "value": "Hi"}]}, "message 2 of row 3 of .*keys 'role' and 'content'"),
        (
            {"messages": [HELLO, {**HI, "role": "assistent"}]},
            "message 2 of row 3 of .* unknown role 'assistent'. Did you mean 'assistant'.*Known: assistant, system",
        ),
        ({"messages": [{**HELLO, "role": None}, HI]}, "message 1 of row 3 of .* unknown role None"),
        ({"messages": [HELLO, {**HI, "content": ""}]}, "message 2 of row 3 .*, of the assistant, has the content ''"),
        ({"messages": [{**HELLO, "content": " \n"}, HI]}, "message 1 of row 3 of .*, of the user, has the content"),
        ({"messages": [HELLO, {**HI, "content": None}]}, "has the content None; expected a text.*tool calls"),
        ({"messages": [{**HELLO, "content": [{"type": "image"}]}, HI]}, "pictures or tool calls"),
        ({"messages": [HI, HELLO, HI]}, "message 1 of row 3 of .* is the assistant's; expected one of the user"),
        ({"messages": [HELLO, HELLO, HI]}, "message 2 of row 3 .* is the user's; expected one of the assistant"),
        ({"messages": [HELLO, HI, HI]}, "message 3 of row 3 .* is the assistant's; expected one of the user.*Join"),
        ({"messages": [SYSTEM, HI, HELLO]}, "message 2 of row 3 .* is the assistant's; expected one of the user"),
        ({"messages": [HELLO, SYSTEM, HI]}, "message 2 of row 3 .* is the system's; expected one of the assistant"),
        ({"messages": [HELLO]}, r"row 3 of .* has no turn of the assistant, only the roles \['user'\]"),
        ({"messages": []}, r"row 3 of .* has no turn of the assistant, only the roles \[\]"),
    ],
)
def test_wrong_rows(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_dialogues(write(tmp_path / "chats.jsonl", nth(3, row)))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the list of dialogues is empty: expected at least one row"),
        (["Hello."], r"row 1 of the list of dialogues has 'Hello.' \(str\) in the column 'messages'"),
        (3, "expected a list of dialogues or rows, a path, or a data set id as source of dialogues, got int"),
        ("./nowhere.jsonl", "there is no file or folder './nowhere.jsonl'"),
    ],
)
def test_wrong_sources(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dialogues(source)


def test_unknown_split() -> None:
    with pytest.raises(DataError, match="unknown split 'tset'. Did you mean 'test'"):
        load_dialogues(many(3), split="tset")
