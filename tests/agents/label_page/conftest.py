"""A served feedback file, a client that speaks plain HTTP, and a headless Chromium."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from agents.feedback.answers import Item
from agents.feedback.store import FeedbackStore

ITEMS = [Item(f"Review of lamp {i}:", (f"good {i}", f"bad {i}")) for i in range(3)]


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    text: str

    def fields(self, action: str) -> dict[str, str]:
        """The hidden fields of the form that is sent to ``action``."""
        form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', self.text, re.DOTALL)
        assert form is not None, f"no form for {action} in:\n{self.text}"
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))

    @property
    def item(self) -> int:
        """The number of the item that is shown."""
        found = re.search(r'action="/items/(\d+)"', self.text)
        assert found is not None, f"no item in:\n{self.text}"
        return int(found[1])

    @property
    def shown(self) -> list[str]:
        """The completions in the order of the page."""
        texts = re.findall(r'<label class="text"[^>]*>(.*?)</label>', self.text, re.DOTALL)
        return [unescape(text) for text in texts]


class Client:
    """A browser without scripts: it keeps cookies, and does not follow redirects."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Reply:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            cookies = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
            connection.request(method, path, body, {**cookies, **(headers or {})})
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            found = {key.lower(): value for key, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read().decode())

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Reply:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.ask("POST", path, urlencode(fields), {**kind, **named})

    def enter(self, link: str, name: str | None = None) -> Client:
        """Come in by a link and say who one is."""
        address = urlsplit(link)
        assert self.get(f"{address.path}?{address.query}").status == 200
        if name is not None:
            page = self.get("/name")
            assert self.post("/name", {**page.fields("/name"), "annotator": name}).status == 303
        return self

    def say(self, **said: str) -> Reply:
        """Answer the next item."""
        page = self.get("/")
        path = f"/items/{page.item}"
        return self.post(path, {**page.fields(path), **said})


@pytest.fixture
def client_class() -> type[Client]:
    return Client


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    """Three items with two completions each."""
    store = FeedbackStore(tmp_path / "feedback.sqlite")
    store.add_items(ITEMS)
    return store


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """``serve(store, **arguments)``: a server that answers until the test ends."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    from agents.label_page.server import LabelServer

    with contextlib.ExitStack() as stack:

        def start(store: FeedbackStore, **arguments: Any) -> LabelServer:
            server = LabelServer(store, **arguments)
            thread = threading.Thread(target=server.run)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def server(serve: Callable[..., Any], store: FeedbackStore) -> Any:
    """A server of ``store``."""
    return serve(store)


@pytest.fixture
def ada(server: Any) -> Client:
    """Ada, who came in by the first link."""
    return Client(server.port).enter(server.link, "ada")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    driver, browser = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if driver is None or browser is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    yield running
    running.quit()
