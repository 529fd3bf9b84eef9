"""``lm-envs label``."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.cli import app
from agents.feedback.answers import Answer
from agents.feedback.store import FeedbackStore


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["label", *map(str, arguments)], env={"COLUMNS": "300"})


def test_serves_until_ctrl_c_and_says_what_there_is(store: FeedbackStore, client_class: Any) -> None:
    pytest.importorskip("fastapi")
    command = [sys.executable, "-m", "agents.cli", "label", str(store.path), "--no-browser", "--annotator", "ada"]
    environment = {**os.environ, "COLUMNS": "300"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(f"3 items in {store.path}")
        link = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S+", link)
        ada = client_class(int(link.split(":")[2].split("/")[0])).enter(link)
        assert ada.say(choice="tie").status == 303
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.strip() == f"1 answers of 1 annotators are in {store.path}."
    assert [given.answer for given in store.current_answers("ada")] == [Answer(tie=True)]


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    result = _run(tmp_path / "nothing")
    assert result.exit_code == 2 and "there is no run folder and no feedback file" in result.stderr


def test_a_file_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes " * 300)
    result = _run(tmp_path / "notes.txt")
    assert result.exit_code == 2 and "no SQLite file" in result.stderr


def test_a_port_that_is_taken(store: FeedbackStore) -> None:
    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = _run(store.path, "--port", taken.getsockname()[1])
    assert result.exit_code == 2 and "Leave --port out for a free one" in result.stderr


def test_a_name_that_cannot_be(store: FeedbackStore) -> None:
    result = _run(store.path, "--annotator", " ")
    assert result.exit_code == 2 and "an annotator needs a name" in result.stderr


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "jinja2", "python_multipart"])
def test_the_extra_is_named(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    result = _run(store.path)
    assert result.exit_code == 2 and "pip install 'lm-envs[label]'" in result.stderr
