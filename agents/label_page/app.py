"""The application: pages, files and guard put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from agents.feedback.store import FeedbackStore
from agents.label_page.access import Access
from agents.label_page.guard import Guard, Hosts
from agents.label_page.pages import Pages
from lm_envs.errors import LMEnvsError

Endpoint = Callable[..., Any]
FOLDER = Path(__file__).parent


def make_app(store: FeedbackStore, access: Access, hosts: Hosts) -> ASGIApp:
    """The page with its guard.

    Args:
        store: Where items are, and answers go.
        access: Who may come in.
        hosts: By which names the server is known.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.access = access
    pages = Pages(store, access, hosts, FOLDER / "templates")
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
    shown: dict[str, Endpoint] = {"/": pages.start, "/items/{item_id}": pages.item, "/name": pages.name}
    sent: dict[str, Endpoint] = {
        "/items/{item_id}": pages.answer,
        "/undo": pages.undo,
        "/name": pages.set_name,
        "/invite": pages.invite,
    }
    for path, endpoint in shown.items():
        app.add_api_route(path, endpoint, methods=["GET"])
    for path, endpoint in sent.items():
        app.add_api_route(path, endpoint, methods=["POST"])
    app.add_exception_handler(HTTPException, pages.refused)
    app.add_exception_handler(RequestValidationError, pages.no_such_page)
    app.add_exception_handler(LMEnvsError, pages.failed)
    return Guard(app, access, hosts)
