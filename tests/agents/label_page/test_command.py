"""``lm-envs label``."""

from __future__ import annotations

import importlib.util
import os
import queue
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
from agents.feedback.answers import Answer, Item
from agents.feedback.store import FeedbackStore
from agents.recipes.train_config import make_config
from agents.training_runs.folder import RunFolder


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
    assert out.strip() == f"answers in {store.path}: 1 (ada 1)"
    assert [given.answer for given in store.current_answers("ada")] == [Answer(tie=True)]


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    result = _run(tmp_path / "nothing")
    assert result.exit_code == 2 and "there is no run folder and no feedback file" in result.stderr


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    result = _run(tmp_path / "photos")
    assert result.exit_code == 2 and "no run folder" in result.stderr
    assert list((tmp_path / "photos").iterdir()) == []


def test_a_file_without_items(tmp_path: Path) -> None:
    result = _run(FeedbackStore(tmp_path / "empty.sqlite").path)
    assert result.exit_code == 2 and "has no items to label. Sample some by 'lm-envs collect'" in result.stderr


def test_a_run_without_items_is_sampled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(make_config("TextGen-v0", algorithm="ppo"))
    sampled, labelled = [], []

    def collect(store: FeedbackStore, *arguments: object) -> None:
        sampled.append(arguments)
        store.add_items([Item("p", ("a", "b"))])

    monkeypatch.setattr("agents.feedback.collecting.collect_items", collect)
    monkeypatch.setattr("agents.cli.label_terminal.label_in_terminal", lambda *given: labelled.append(given))
    for _ in range(2):
        result = _run(run.path, "--terminal", "--annotator", "ada", "--prompts", 7, "--completions", 3)
        assert result.exit_code == 0, result.output
    assert sampled == [(str(run.path), 7, 3)]
    assert [(store.path, name) for store, name in labelled] == [(run.path / "feedback.sqlite", "ada")] * 2


def test_the_terminal_asks_for_a_name(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr("agents.cli.label_terminal.label_in_terminal", lambda store, name: names.append(name))
    result = CliRunner().invoke(app, ["label", str(store.path), "--terminal"], input="bob\n")
    assert result.exit_code == 0 and names == ["bob"]


def test_other_hosts_are_warned_of(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("agents.label_page.server")
    monkeypatch.setattr(server.LabelServer, "run", lambda self: self._socket.close())
    assert "others on the network" in _run(store.path, "--host", "0.0.0.0", "--no-browser").stderr
    assert "others on the network" not in _run(store.path, "--no-browser").stderr


def test_the_browser_opens_the_link(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("agents.label_page.server")
    opened: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(server.LabelServer, "run", lambda self: self._socket.close())
    monkeypatch.setattr("webbrowser.open", opened.put)
    link = opened.get(timeout=10) if _run(store.path).stdout else ""
    assert link.startswith("http://127.0.0.1:") and "/?token=" in link


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
