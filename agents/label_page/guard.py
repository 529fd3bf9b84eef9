"""What stands before every page and file: host, origin, size and session."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents.label_page.access import Access, Session

MOST_BYTES = 1 << 20
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": forms would be posted with "Origin: null", and their origin could not be checked. Both send the
    # address to no other site. https://fetch.spec.whatwg.org/#append-a-request-origin-header
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Hosts:
    """By which names the server is known: others are those of a site that resolves its own name to this machine.

    Args:
        bound: The address that the server listens on.

    References:
        https://en.wikipedia.org/wiki/DNS_rebinding
    """

    bound: str

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.bound in LOOPBACK_NAMES or (
            _is_address(self.bound) and ipaddress.ip_address(self.bound).is_loopback
        )

    def __contains__(self, header: str) -> bool:
        """Whether a ``Host`` header names this server. Ports are not compared: a tunnel may change them."""
        name = _host_name(header)
        if name in (*LOOPBACK_NAMES, self.bound.lower()):
            return True
        return not self.is_loopback and (_is_address(name) or name == socket.gethostname().lower())

    def for_others(self, header: str) -> str:
        """Host and port by which another machine finds what this one calls ``header``."""
        name, port = _host_name(header), urlsplit(f"//{header}").port
        if self.is_loopback or name not in LOOPBACK_NAMES:
            return header
        return socket.gethostname() if port is None else f"{socket.gethostname()}:{port}"


class Guard:
    """Lets requests through to the page that come from a session, or bring a token for a new one.

    Args:
        app: The page. It finds the session in ``request.state.session``.
        access: Knows sessions and tokens.
        hosts: The names of this server.
    """

    def __init__(self, app: ASGIApp, access: Access, hosts: Hosts) -> None:
        self.app, self.access, self.hosts = app, access, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        refusal = self._refusal(request)
        session = self._session(request) if refusal is None else None
        if refusal is None and session is None:
            refusal = 403, "Not let in: open the link that 'lm-envs label' printed. Each link works once.\n"
        app: ASGIApp = self.app if refusal is None else PlainTextResponse(refusal[1], status_code=refusal[0])
        scope.setdefault("state", {})["session"] = session
        await app(scope, receive, _with_headers(send))

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and reason where nobody, however well known, may send such a request."""
        if request.headers.get("host", "") not in self.hosts:
            return 403, "Refused: this server is not known by that name.\n"
        if request.method in ("GET", "HEAD"):
            return None
        if not _is_own_origin(request):
            return 403, "Refused: the form was sent by another site.\n"
        length = request.headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "Refused: the request does not say how long it is.\n"
        return (413, f"Refused: more than {MOST_BYTES} bytes.\n") if int(length) > MOST_BYTES else None

    def _session(self, request: Request) -> Session | None:
        session = self.access.session(request.cookies.get(self.access.cookie_name, ""))
        token = request.query_params.get("token")
        if session is None and token is not None and request.method == "GET" and request.url.path == "/":
            session = self.access.enter(token)
        return session


def _is_own_origin(request: Request) -> bool:
    """Whether headers that only browsers set, and no script can change, name this server or are not there."""
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers['host']}"
    return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none") and origin in (None, own)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers


def _host_name(header: str) -> str:
    """The name in ``name:port``; empty where it is malformed."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
