"""The server's socket and its life."""

from __future__ import annotations

import importlib.util
import socket
from typing import Any

from agents.feedback.store import FeedbackStore
from agents.label_page.access import Access, key_file_of
from lm_envs.errors import ConfigurationError, MissingDependencyError

PACKAGES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "jinja2": "jinja2", "python_multipart": "python-multipart"}
CLOSING_SECONDS = 3

_SETTINGS: dict[str, Any] = {
    "http": "h11",
    "ws": "none",
    "lifespan": "off",
    "log_level": "warning",
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": CLOSING_SECONDS,
}


class LabelServer:
    """The label page of one feedback file; requests are answered while :meth:`run` runs.

    Args:
        store: The feedback file.
        host: The address to listen on.
        port: The port; 0 for a free one.
        annotator: The name of whoever opens the first link; None: the page asks.

    Attributes:
        host: The address.
        port: The port.
        is_loopback: Whether only this machine can reach it.

    Raises:
        MissingDependencyError: The extra ``label`` is not installed.
        ConfigurationError: The address cannot be used.
    """

    def __init__(
        self, store: FeedbackStore, host: str = "127.0.0.1", port: int = 0, annotator: str | None = None
    ) -> None:
        check_installed()
        import uvicorn

        from agents.label_page.app import make_app
        from agents.label_page.guard import Hosts

        access = Access(key_file_of(store.path))
        self.host = host
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.is_loopback = Hosts(host).is_loopback
        self._token = access.new_token(annotator)
        app = make_app(store, access, Hosts(host))
        self._server = uvicorn.Server(uvicorn.Config(app, **_SETTINGS))

    @property
    def link(self) -> str:
        """The address that lets the first browser in, once."""
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}/?token={self._token}"

    def run(self) -> None:
        """Answer requests until Ctrl-C or :meth:`stop`.

        Raises:
            KeyboardInterrupt: Ctrl-C, after the requests that had come in were answered.
        """
        with self._socket:
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End :meth:`run`, which another thread is in."""
        self._server.should_exit = True


def check_installed() -> None:
    """Check that everything of the extra is there.

    Raises:
        MissingDependencyError: Something is not.
    """
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise MissingDependencyError.for_package(package, "label", "the label page")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}: {error}. Leave --port out for a free one; --host is an address of "
            "this machine."
        ) from error
