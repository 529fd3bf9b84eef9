"""Who is turned away before any page is made."""

from __future__ import annotations

import http.client
import itertools
import socket
from collections.abc import Callable
from typing import Any

import pytest

from agents.feedback.store import FeedbackStore

pytest.importorskip("fastapi")
from agents.label_page.guard import MOST_BYTES, Hosts

PATHS = ("/", "/?token=guess", "/?token=", "/items/1", "/name", "/static/label.css", "/static/label.js", "/nothing")


def test_no_token_and_a_wrong_token_get_403(server: Any, client_class: Any) -> None:
    stranger = client_class(server.port)
    for cookies in ({}, {"label-0123456789ab": "5b5d.00"}):
        stranger.cookies = dict(cookies)
        for path in PATHS:
            assert [stranger.ask(method, path).status for method in ("GET", "HEAD")] == [403, 403], path
        assert stranger.cookies == cookies  # none was given


def test_posts_without_a_session_get_403(server: Any, client_class: Any, store: FeedbackStore) -> None:
    fields = {"choice": "0", "annotator": "eve", "form_token": "", "token": server.link.partition("token=")[2]}
    for path in ("/", "/items/1", "/undo", "/name", "/invite", "/?" + server.link.partition("?")[2]):
        assert client_class(server.port).post(path, fields).status == 403, path
    assert store.history() == []


def test_a_link_works_once(server: Any, client_class: Any) -> None:
    path = server.link.removeprefix(f"http://127.0.0.1:{server.port}")
    first, second = client_class(server.port), client_class(server.port)
    assert first.get(path).status == 200
    assert second.get(path).status == 403
    assert first.get(path).status == 200  # whoever is in stays in
    assert first.get("/").headers["location"] == "/name"


def test_a_head_request_does_not_use_the_link_up(server: Any, client_class: Any) -> None:
    path = server.link.removeprefix(f"http://127.0.0.1:{server.port}")
    assert client_class(server.port).ask("HEAD", path).status == 403
    assert client_class(server.port).get(path).status == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites(server: Any, client_class: Any) -> None:
    reply = client_class(server.port).get(server.link.removeprefix(f"http://127.0.0.1:{server.port}"))
    said = reply.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=strict" in said and "path=/" in said


FOREIGN = (
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
)


def test_cross_site_posts_are_refused(ada: Any, store: FeedbackStore) -> None:
    fields = {**ada.get("/").fields("/items/1"), "choice": "0"}
    for headers in FOREIGN:
        named = {name: value.format(port=ada.port) for name, value in headers.items()}
        assert ada.post("/items/1", fields, **named).status == 403, headers
    assert store.history() == []
    own = {"Origin": f"http://127.0.0.1:{ada.port}", "Sec_Fetch_Site": "same-origin"}
    assert ada.post("/items/1", fields, **own).status == 303


def test_forms_of_others_are_refused(ada: Any, store: FeedbackStore) -> None:
    for token in ({}, {"form_token": ""}, {"form_token": "guess"}, {"form_token": "é"}):
        reply = ada.post("/items/1", {"choice": "0", "request": "r", **token})
        assert (reply.status, "does not belong to your session" in reply.text) == (403, True)
    assert store.history() == []


def test_unknown_hosts_are_refused(ada: Any) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.1.2", "", "[::1"):
        assert ada.get("/", Host=host).status in (400, 403), host
    assert ada.get("/", Host=f"localhost:{ada.port}").status == 200


def test_bodies_are_limited(ada: Any, store: FeedbackStore) -> None:
    fields = {**ada.get("/").fields("/items/1"), "edit-0": "x" * MOST_BYTES}
    assert ada.post("/items/1", fields).status == 413
    connection = http.client.HTTPConnection("127.0.0.1", ada.port, timeout=20)
    cookies = "; ".join(f"{name}={value}" for name, value in ada.cookies.items())
    connection.request("POST", "/items/1", iter([b"x"]), {"Cookie": cookies}, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()
    assert store.history() == []


def test_every_answer_has_the_headers(ada: Any, client_class: Any) -> None:
    for client, path in itertools.product((ada, client_class(ada.port)), ("/", "/static/label.css", "/nothing")):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_names_of_a_server_on_loopback() -> None:
    hosts = Hosts("127.0.0.1")
    assert hosts.is_loopback
    assert "127.0.0.1:80" in hosts and "LOCALHOST" in hosts and "[::1]:5" in hosts
    assert socket.gethostname() + ".evil.example" not in hosts and "10.0.0.1:80" not in hosts
    assert hosts.for_others("localhost:80") == "localhost:80"


def test_names_of_a_server_on_the_network() -> None:
    hosts = Hosts("0.0.0.0")
    assert not hosts.is_loopback
    assert "10.0.0.1:80" in hosts and socket.gethostname() in hosts and "evil.example" not in hosts
    assert hosts.for_others("127.0.0.1:80") == f"{socket.gethostname()}:80"
    assert hosts.for_others("10.0.0.1:80") == "10.0.0.1:80"


def test_a_server_on_all_addresses_lets_the_link_in(
    serve: Callable[..., Any], store: FeedbackStore, client_class: Any
) -> None:
    server = serve(store, host="0.0.0.0")
    assert server.link.startswith(f"http://127.0.0.1:{server.port}/?token=")
    bob = client_class(server.port).enter(server.link, "bob")
    invitation = bob.post("/invite", bob.get("/").fields("/invite")).text
    assert f"http://{socket.gethostname()}:{server.port}/?token=" in invitation
    assert "this computer only" not in invitation
