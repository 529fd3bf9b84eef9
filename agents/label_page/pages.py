"""What each address shows and does. Endpoints are plain functions: the store blocks, so they run in threads."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from agents.feedback.answers import HIGHEST_RATING, LOWEST_RATING, Answer, GivenAnswer, Item
from agents.feedback.order import shown_order
from agents.feedback.store import FeedbackStore, annotator_name
from agents.label_page.access import Access, Session
from agents.label_page.drafts import TIE, Draft, shown_text
from agents.label_page.guard import Hosts
from lm_envs.errors import DataError

COOKIE_SECONDS = 30 * 24 * 3600
MOST_FIELDS = 32
MOST_ITEM_ID = 2**63 - 1  # of an SQLite table


async def sent_fields(request: Request) -> dict[str, str]:
    """The fields of a form that this server made for this session.

    Raises:
        HTTPException: It did not.
    """
    form = await request.form(max_fields=MOST_FIELDS, max_files=0)
    fields = {key: value for key, value in form.items() if isinstance(value, str)}
    if not request.app.state.access.is_form_token(request.state.session, fields.get("form_token", "")):
        raise HTTPException(403, "This form does not belong to your session. Go back and load the page anew.")
    return fields


ItemId = Annotated[int, Path(ge=1, le=MOST_ITEM_ID)]
Fields = Annotated[dict[str, str], Depends(sent_fields)]


class Pages:
    """The endpoints.

    Args:
        store: Where items are, and answers go.
        access: Signs sessions.
        hosts: By which names the server is known.
        templates: The folder of the templates.
    """

    def __init__(self, store: FeedbackStore, access: Access, hosts: Hosts, templates: FilePath) -> None:
        self.store, self.access, self.hosts = store, access, hosts
        self._templates = Environment(loader=FileSystemLoader(templates), autoescape=True)
        self._templates.filters["shown"] = shown_text
        self._templates.globals |= {
            "new_request": lambda: secrets.token_urlsafe(12),
            "tie": TIE,
            "ratings": ("", *map(str, range(LOWEST_RATING, HIGHEST_RATING + 1))),
        }

    def start(self, request: Request) -> Response:
        """The first item without an answer; with a token, the way in."""
        if "token" in request.query_params:
            return self._enter(request)
        annotator = _annotator(request)
        found = self.store.next_item(annotator)
        if found is not None:
            return self._item_page(request, *found)
        counts = count_answers(self.store.current_answers(annotator))
        return self._page(request, "done.html", counts=counts)

    def item(self, request: Request, item_id: ItemId) -> Response:
        """One item, with what the annotator said about it last."""
        item = self._item(item_id)
        annotator = _annotator(request)
        given = [answer for answer in self.store.history(annotator) if answer.item_id == item_id]
        if not given:
            return self._item_page(request, item_id, item)
        order = shown_order(item_id, annotator, len(item.completions))
        draft = Draft.of_answer(given[-1].answer, item, order)
        return self._item_page(request, item_id, item, draft, notice="This is what you said; a new answer replaces it.")

    def answer(self, request: Request, item_id: ItemId, fields: Fields) -> Response:
        """Write an answer, then go on: whoever sees the next item knows that the answer is on the disk."""
        item, annotator = self._item(item_id), _annotator(request)
        order = shown_order(item_id, annotator, len(item.completions))
        draft = Draft.of_form(fields, item, order)
        try:
            answer = draft.skip() if fields.get("action") == "skip" else draft.answer(item, order)
            self.store.add_answer(item_id, annotator, answer, _request_name(fields, annotator, item_id, answer))
        except DataError as error:
            return self._item_page(request, item_id, item, draft, problem=str(error), status=422)
        return RedirectResponse("/", 303)

    def undo(self, request: Request, fields: Fields) -> Response:
        """Take the last answer back, and show its item as it was answered."""
        annotator = _annotator(request)
        item_id = self.store.undo(annotator, _request_name(fields, annotator, None, None))
        return RedirectResponse("/" if item_id is None else f"/items/{item_id}", 303)

    def name(self, request: Request) -> Response:
        """Who answers."""
        return self._page(request, "name.html", value=request.state.session.annotator or "")

    def set_name(self, request: Request, fields: Fields) -> Response:
        """Keep the name in the session's cookie."""
        try:
            name = annotator_name(fields.get("annotator", ""))
        except DataError as error:
            value = fields.get("annotator", "")
            return self._page(request, "name.html", 422, value=value, problem=str(error))
        return self._with_cookie(RedirectResponse("/", 303), request.state.session.named(name))

    def invite(self, request: Request, fields: Fields) -> Response:
        """A link that lets one more browser in."""
        host = self.hosts.for_others(request.headers["host"])
        link = f"http://{host}/?token={self.access.new_token()}"
        return self._page(request, "invite.html", link=link, only_here=self.hosts.is_loopback)

    async def refused(self, request: Request, error: Exception) -> Response:
        """An address that is not there, a form of somebody else's, or the way to the name."""
        assert isinstance(error, HTTPException)
        if error.status_code < 400:
            return Response(status_code=error.status_code, headers=error.headers)
        return self._message(error.status_code, error.detail)

    async def no_such_page(self, request: Request, error: Exception) -> Response:
        """An address that ends in something other than an item's number."""
        return self._message(404, "There is no such page.")

    async def failed(self, request: Request, error: Exception) -> Response:
        """The store cannot be used: say so, so that nobody takes the answer for saved."""
        return self._message(503, f"Nothing was saved: {error}")

    def _message(self, status: int, text: str) -> Response:
        """A page that asks nothing of the store."""
        return HTMLResponse(self._templates.get_template("message.html").render(text=text), status)

    def _enter(self, request: Request) -> Response:
        """Set the cookie on a page that goes on by itself.

        A redirect would not do: after a link on another site the browser holds back ``SameSite=Strict`` cookies until a
        page of ours asks for the next.
        """
        return self._with_cookie(self._page(request, "enter.html"), request.state.session)

    def _with_cookie(self, response: Response, session: Session) -> Response:
        name, value = self.access.cookie_name, self.access.cookie(session)
        response.set_cookie(name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="strict")
        return response

    def _item(self, item_id: int) -> Item:
        try:
            return self.store.item(item_id)
        except DataError as error:
            raise HTTPException(404, f"There is no item {item_id}.") from error

    def _item_page(
        self,
        request: Request,
        item_id: int,
        item: Item,
        draft: Draft | None = None,
        *,
        notice: str = "",
        problem: str = "",
        status: int = 200,
    ) -> Response:
        order = shown_order(item_id, _annotator(request), len(item.completions))
        values: dict[str, Any] = {
            "item_id": item_id,
            "prompt": item.prompt,
            "texts": [item.completions[i] for i in order],
            "draft": draft or Draft.blank(item, order),
            "notice": notice,
            "problem": problem,
        }
        return self._page(request, "item.html", status, **values)

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        session: Session = request.state.session
        name = session.annotator
        shared: dict[str, Any] = {
            "annotator": name,
            "progress": None if name is None else self.store.progress(name),
            "form_token": self.access.form_token(session),
        }
        return HTMLResponse(self._templates.get_template(template).render(**shared, **values), status)


def count_answers(answers: Sequence[GivenAnswer]) -> dict[str, int]:
    """How often each thing was said, without what was not."""
    counts: Counter[str] = Counter()
    for given in answers:
        answer = given.answer
        counts["choices"] += answer.best is not None
        counts["ties"] += answer.tie
        counts["ratings"] += sum(rating is not None for rating in answer.ratings)
        counts["edits"] += answer.edit is not None
        counts["flags"] += answer.flag is not None
        counts["skipped"] += answer.skip
    return {name: n for name, n in counts.items() if n}


def _annotator(request: Request) -> str:
    """Who answers.

    Raises:
        HTTPException: Nobody said so far; the way to the page that asks.
    """
    name = request.state.session.annotator
    if name is None:
        raise HTTPException(303, headers={"Location": "/name"})
    return name


def _request_name(fields: Fields, annotator: str, item_id: int | None, answer: Answer | None) -> str | None:
    """A name for what a form asks, from its request id, who sent it and what it says.

    So a form that is sent again changes nothing, and one that is sent again with other content, after the browser's
    way back, counts.
    """
    sent = fields.get("request", "")
    if not sent:
        return None
    said = None if answer is None else answer.to_dict()
    return hashlib.blake2b(json.dumps([sent, annotator, item_id, said]).encode(), digest_size=16).hexdigest()
