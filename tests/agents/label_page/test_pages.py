"""What the pages do, without scripts."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.feedback.answers import Answer, Item
from agents.feedback.order import shown_order
from agents.feedback.store import FeedbackStore

pytest.importorskip("fastapi")
from agents.label_page.pages import count_answers


def test_a_choice_is_that_of_the_text_that_was_shown(ada: Any, store: FeedbackStore) -> None:
    for _ in range(3):
        page = ada.get("/")
        chosen = page.shown[0]
        assert ada.say(choice="0").headers["location"] == "/"
        given = store.current_answers("ada")[-1]
        assert given.item_id == page.item
        assert given.answer.best is not None and given.item.completions[given.answer.best] == chosen
    assert "Everything is answered" in ada.get("/").text


def test_texts_stand_in_the_annotators_order(ada: Any, store: FeedbackStore) -> None:
    store.add_items([Item(f"more {i}", tuple("abcd")) for i in range(20)])
    for item_id, item in store.items().items():
        order = shown_order(item_id, "ada", len(item.completions))
        assert ada.get(f"/items/{item_id}").shown == [item.completions[i] for i in order]


def test_everything_at_once(ada: Any, store: FeedbackStore) -> None:
    order = shown_order(1, "ada", 2)
    ada.say(**{"choice": "tie", "rating-0": "5", "edit-1": "so\r\nmuch better", "flag": "on", "note": "odd"})
    ratings = (5, None) if order[0] == 0 else (None, 5)
    expected = Answer(tie=True, ratings=ratings, edited=order[1], edit="so\nmuch better", flag="odd")
    assert [given.answer for given in store.current_answers("ada")] == [expected]


def test_an_answer_that_says_nothing_is_asked_again_and_keeps_what_was_typed(ada: Any, store: FeedbackStore) -> None:
    reply = ada.say()
    assert reply.status == 422 and "Choose a completion, a tie or a rating" in reply.text
    reply = ada.say(**{"edit-0": "one", "edit-1": "<two>"})
    assert (
        reply.status == 422 and "more than one was changed" in reply.text and "\n&lt;two&gt;</textarea>" in reply.text
    )
    reply = ada.say(**{"edit-0": "  "})
    assert reply.status == 422 and "An edit is not empty" in reply.text
    assert store.history() == []


def test_a_form_that_is_sent_again_is_one_answer(ada: Any, store: FeedbackStore) -> None:
    fields = {**ada.get("/").fields("/items/1"), "choice": "0"}
    assert [ada.post("/items/1", fields).status for _ in range(3)] == [303] * 3
    assert len(store.history()) == 1
    assert ada.post("/items/1", {**fields, "choice": "1"}).status == 303  # the way back, another choice
    assert [given.answer.best for given in store.history()] == list(shown_order(1, "ada", 2))


def test_nobody_uses_up_the_request_of_somebody_else(ada: Any, client_class: Any, store: FeedbackStore) -> None:
    bob = client_class(ada.port).enter(_invitation(ada), "bob")
    for person in (ada, bob):
        fields = person.get("/").fields("/items/1")
        assert person.post("/items/1", {**fields, "request": "same", "choice": "tie"}).status == 303
    assert [given.annotator for given in store.history()] == ["ada", "bob"]


def test_of_two_answers_the_last_counts_and_both_are_kept(ada: Any, store: FeedbackStore) -> None:
    ada.say(choice="tie")
    page = ada.get("/items/1")
    assert re.search(r'value="tie" checked', page.text) and "a new answer replaces it" in page.text
    ada.post("/items/1", {**page.fields("/items/1"), "choice": "1"})
    assert [given.answer for given in store.current_answers("ada")] == [Answer(best=shown_order(1, "ada", 2)[1])]
    assert len(store.history("ada")) == 2
    assert store.progress("ada").done == 1


def test_undo_shows_what_was_said(ada: Any, store: FeedbackStore) -> None:
    ada.say(**{"rating-0": "2", "edit-0": "my own words"})
    fields = ada.get("/").fields("/undo")
    for _ in range(2):  # sent twice, done once
        assert ada.post("/undo", fields).headers["location"] == "/items/1"
    page = ada.get("/items/1")
    assert re.search(r'name="rating-0" value="2" checked', page.text) and "\nmy own words</textarea>" in page.text
    assert (store.progress("ada").done, len(store.history())) == (0, 1)
    assert ada.post("/undo", page.fields("/undo")).headers["location"] == "/"  # nothing left to take back
    assert ada.get("/").item == 1


def test_a_skip_says_nothing_else(ada: Any, store: FeedbackStore) -> None:
    ada.say(choice="0", action="skip")
    assert [given.answer for given in store.current_answers()] == [Answer(skip=True)]
    assert ada.get("/").item == 2


def test_annotators_answer_for_themselves_and_resume_by_name(ada: Any, client_class: Any, store: FeedbackStore) -> None:
    ada.say(choice="tie")
    bob = client_class(ada.port).enter(_invitation(ada), "bob")
    assert "0 of 3 answered" in bob.get("/").text and "1 of 3 answered" in ada.get("/").text
    bob.say(action="skip")
    elsewhere = client_class(ada.port).enter(_invitation(bob), " ada ")
    assert elsewhere.get("/").item == 2
    assert store.annotators() == ["ada", "bob"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x07b"])
def test_a_name_that_cannot_be_is_asked_again(server: Any, client_class: Any, name: str) -> None:
    client = client_class(server.port).enter(server.link)
    reply = client.post("/name", {**client.get("/name").fields("/name"), "annotator": name})
    assert reply.status == 422 and "An annotator needs a name of 1 to 80" in reply.text
    assert client.get("/").headers["location"] == "/name"


def test_the_first_link_may_bring_a_name(serve: Callable[..., Any], store: FeedbackStore, client_class: Any) -> None:
    server = serve(store, annotator="Zoë")
    client = client_class(server.port).enter(server.link)
    assert "Zoë" in client.get("/").text


def test_markup_is_text(ada: Any, store: FeedbackStore) -> None:
    evil = "</textarea><script>alert(1)</script><img src=x onerror=alert(1)>\"'"
    store.add_items([Item(evil, (evil, evil + " & more"))])
    page = ada.get("/items/4")
    assert sorted(page.shown) == sorted([evil, evil + " & more"])
    assert "<img" not in page.text and page.text.count("<script") == 1  # our own


def test_texts_that_html_cannot_carry(ada: Any, store: FeedbackStore) -> None:
    store.add_items([Item("odd", ("\nnew line first", "a\r\nb\0"))])
    page = ada.get("/items/4")
    assert page.status == 200
    fields = {f"edit-{place}": text for place, text in enumerate(page.shown)}
    reply = ada.post("/items/4", {**page.fields("/items/4"), **fields})
    assert reply.status == 422 and "Choose a completion" in reply.text  # nothing was edited


def test_addresses_that_are_not_there(ada: Any) -> None:
    assert ada.get("/items/99").status == 404 and "There is no item 99" in ada.get("/items/99").text
    assert ada.get("/nothing").status == 404
    for number in ("x", "0", "-1", "9" * 30):
        assert ada.get(f"/items/{number}").status == 404 and "no such page" in ada.get(f"/items/{number}").text
    assert ada.get("/static/../app.py").status == 404
    assert ada.get("/openapi.json").status == 404


def test_nothing_to_label(serve: Callable[..., Any], tmp_path: Path, client_class: Any) -> None:
    server = serve(FeedbackStore(tmp_path / "empty.sqlite"))
    client = client_class(server.port).enter(server.link, "ada")
    assert "There is nothing to label yet" in client.get("/").text


def test_an_answer_that_cannot_be_saved_is_not_acknowledged(ada: Any, store: FeedbackStore) -> None:
    fields = {**ada.get("/").fields("/items/1"), "choice": "0"}
    with sqlite3.connect(store.path) as db:
        db.execute("ALTER TABLE answers RENAME TO elsewhere")
    db.close()
    reply = ada.post("/items/1", fields)
    assert reply.status == 503 and "Nothing was saved" in reply.text
    with sqlite3.connect(store.path) as db:
        db.execute("ALTER TABLE elsewhere RENAME TO answers")
    db.close()
    assert ada.post("/items/1", fields).status == 303
    assert len(store.history()) == 1


def test_counts_are_of_what_was_said(store: FeedbackStore) -> None:
    store.add_answer(1, "ada", Answer(best=0, ratings=(1, 5), flag=""))
    store.add_answer(2, "ada", Answer(skip=True))
    counts = count_answers(store.current_answers())
    assert counts == {"choices": 1, "ratings": 2, "flags": 1, "skipped": 1}


def _invitation(person: Any) -> str:
    reply = person.post("/invite", person.get("/").fields("/invite"))
    link = re.search(r'value="(http://[^"]*)"', reply.text)
    assert link is not None and "this computer only" in reply.text
    return link[1]
