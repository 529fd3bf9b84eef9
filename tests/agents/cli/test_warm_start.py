"""``lm-envs warm-start``: a folder that is a model, with what was learned written beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ROOM = ("-E", "max_prompt_tokens=12", "-E", "max_new_tokens=6", "-r", "length:target=7,unit=characters")


@pytest.fixture
def arguments(lm_folder: str, prompt_file: Path, tmp_path: Path) -> list[object]:
    rows = [{**json.loads(line), "completion": "is the"} for line in prompt_file.read_text().splitlines()]
    (tmp_path / "shown.jsonl").write_text("\n".join(map(json.dumps, rows)))
    given = ["warm-start", "-m", lm_folder, "-d", prompt_file, "--demonstrations", "shown.jsonl", *ROOM]
    return [*given, "--learning-rate", 0.01, "--epochs", 8, "--prompts", 4, "--batch-size", 8, "--device", "cpu"]


def test_it_leaves_a_model_that_other_commands_take(cli: Callable, arguments: list[object], tmp_path: Path) -> None:
    result = cli(*arguments, "-o", "imitator")
    assert result.exit_code == 0, result.output
    assert "60 demonstrations" in result.stdout and "learned from 54 demonstrations; 6 held out" in result.stdout
    assert "go on:        lm-envs train --model imitator\n" in result.stdout
    report = json.loads((tmp_path / "imitator" / "warm_start.json").read_text())
    assert report["learning"]["after"] < 0.5 * report["learning"]["before"]
    assert report["before"]["n_prompts"] == report["after"]["n_prompts"]
    data = arguments[arguments.index("-d") + 1]
    done = cli("sample", "imitator", "-d", data, *ROOM, "--split", "train", "--deterministic", "--json")
    assert {row["completion"] for row in json.loads(done.stdout)} == {" is the"}
    again = cli(*arguments, "-o", "imitator")
    assert again.exit_code == 2 and "exists already. Choose another folder" in again.stderr


def test_json_is_all_that_is_printed(cli: Callable, arguments: list[object]) -> None:
    result = cli(*arguments, "--epochs", 1, "-o", "imitator", "--json")
    assert set(json.loads(result.stdout)) == {"model", "learning", "before", "after"}


def test_mistakes_show_before_anything_is_loaded(cli: Callable, arguments: list[object], tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"}))
    for wrong, message in (
        (arguments, "say where the model goes"),
        (["warm-start", "QA-v0", "-o", "x"], "for TextGen-v0; got 'QA-v0'"),
        (["warm-start", "--task", "reviews", "-o", "x"], "the data have no column 'reference'"),
        (["warm-start", "--demonstrations", "pairs.jsonl", "-o", "x"], "1 comparisons and 0 ratings, but no text"),
        (["warm-start", "-E", "max_new_token=3", "-o", "x"], "max_new_tokens"),
    ):
        result = cli(*wrong)
        assert result.exit_code == 2 and message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "x").exists()
