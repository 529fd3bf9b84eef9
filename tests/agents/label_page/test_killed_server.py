"""A server that is killed while four annotators are answering."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.feedback.answers import Item
from agents.feedback.order import shown_order
from agents.feedback.store import FeedbackStore

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

CLIENTS, ITEMS, KILLS = 4, 125, 5
BROKEN = (OSError, http.client.HTTPException)


class Process:
    """The command, which starts anew on the same port after it was killed."""

    def __init__(self, store: FeedbackStore) -> None:
        self.store, self.port, self.link = store, 0, ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "agents.cli", "label", str(self.store.path), "--no-browser"]
        environment = {**os.environ, "COLUMNS": "300"}
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        found = None
        while found is None:
            line = self._process.stdout.readline()
            assert line, "the server ended before it printed its link"
            found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=\S+", line)
        self.link, self.port = found[0], int(found[1])

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL
        assert self._process.stdout is not None
        self._process.stdout.close()


class Annotator(threading.Thread):
    """Answers until nothing is left; a request that broke off is sent again as it was.

    Attributes:
        said: The choice for each item, by the item's numbers, as soon as the server acknowledged it.
        broken: How many requests that write an answer broke off.
    """

    def __init__(self, name: str, client: Any) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.said: dict[int, int] = {}
        self.broken = 0
        self.rng = random.Random(name)

    def run(self) -> None:
        while "Everything is answered" not in (page := self._insist(lambda: self.client.get("/"))).text:
            place, path = self.rng.randrange(2), f"/items/{page.item}"
            fields = {**page.fields(path), "choice": str(place)}
            reply = self._insist(lambda path=path, fields=fields: self.client.post(path, fields), writes=True)
            assert reply.status == 303, reply
            assert page.item not in self.said, "an item that was answered is asked again"
            self.said[page.item] = shown_order(page.item, self.name, 2)[place]

    def _insist(self, ask: Callable[[], Any], writes: bool = False) -> Any:
        while True:
            try:
                return ask()
            except BROKEN as error:
                self.broken += writes and not isinstance(error, ConnectionRefusedError)
                time.sleep(0.02)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """The command, with enough to label."""
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    store.add_items(Item(f"prompt {i}", ("one", "two")) for i in range(ITEMS))
    process = Process(store)
    yield process
    process.kill()


@pytest.mark.slow
def test_no_acknowledged_answer_is_lost_and_none_is_doubled(process: Process, client_class: Any) -> None:
    store = process.store
    annotators = _annotators(process, client_class)
    for annotator in annotators:
        annotator.start()
    for kill in range(1, KILLS + 1):
        _wait_for(annotators, CLIENTS * ITEMS * kill // (KILLS + 1))
        process.kill()
        acknowledged = {annotator.name: dict(annotator.said) for annotator in annotators}
        _check_kept(store, acknowledged)
        process.start()
    for annotator in annotators:
        annotator.join(timeout=60)
        assert not annotator.is_alive()
    _check_kept(store, {annotator.name: annotator.said for annotator in annotators})
    assert len(store.history()) == CLIENTS * ITEMS == sum(len(annotator.said) for annotator in annotators)
    assert sum(annotator.broken for annotator in annotators) > 0, "no answer was under way when the server was killed"


def _annotators(process: Process, client_class: Any) -> list[Annotator]:
    """The first comes in by the printed link, the others by invitations."""
    first = client_class(process.port).enter(process.link, "annotator 0")
    found = [Annotator("annotator 0", first)]
    for i in range(1, CLIENTS):
        invitation = first.post("/invite", first.get("/").fields("/invite")).text
        link = re.search(r"http://127[^\"]*", invitation)
        assert link is not None
        found.append(Annotator(f"annotator {i}", client_class(process.port).enter(link[0], f"annotator {i}")))
    return found


def _wait_for(annotators: list[Annotator], n_answers: int) -> None:
    while sum(len(annotator.said) for annotator in annotators) < n_answers:
        assert any(annotator.is_alive() for annotator in annotators), "all annotators gave up"
        time.sleep(0.001)


def _check_kept(store: FeedbackStore, acknowledged: dict[str, dict[int, int]]) -> None:
    """Every acknowledged answer is there as it was given, and no item was answered twice by one annotator."""
    history = store.history()
    kept = {(given.annotator, given.item_id): given.answer.best for given in history}
    assert len(kept) == len(history), "an answer was written twice"
    for name, said in acknowledged.items():
        assert said.items() <= {item: best for (who, item), best in kept.items() if who == name}.items()
