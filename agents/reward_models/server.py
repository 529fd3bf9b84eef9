"""A small server that scores texts, for the reward ``remote:URL``."""

from __future__ import annotations

import hmac
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lm_envs.errors import ConfigurationError, LMEnvsError
from lm_envs.rewards import RewardModel, RewardSum, make_reward

MOST_BYTES = 2**24  # of a request
SECONDS = 60.0  # that a client may keep silent in the middle of a request

_logger = logging.getLogger(__name__)


class RewardServer(ThreadingHTTPServer):
    """Answers ``POST /`` with ``{"prompts": [...], "completions": [...]}`` by ``{"scores": [...]}``.

    ``GET /health`` answers ``{"status": "ok", "reward": [NAME, ...]}``. One request is scored at a time. What is wrong
    with a request is answered with 400, 401, 404, 411 or 413 and ``{"error": MESSAGE}``, a reward that fails with 500.

    Args:
        reward: What scores.
        host: The address to listen on.
        port: The port; 0 for any free one: see ``server_port``.
        token: Where given, ``POST`` needs the header ``Authorization: Bearer TOKEN``.

    Raises:
        ConfigurationError: The address is not free, or not of this machine; or the reward is paid at every step.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, reward: RewardSum, host: str = "127.0.0.1", port: int = 8000, token: str | None = None) -> None:
        if reward.per_step:
            raise ConfigurationError("a reward that is paid at every step cannot be served: it scores no whole texts.")
        self.reward = reward
        self.token = token
        self.lock = threading.Lock()
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error}. Is another server running there? Take another --port."
            ) from error

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def score(self, prompts: list[str], completions: list[str]) -> list[float]:
        """The scores of completions.

        Raises:
            LMEnvsError: The reward failed.
        """
        with self.lock:
            return [float(score) for score in self.reward(prompts, completions).total]


def served_reward(target: str) -> RewardSum:
    """The reward to serve, which has scored a text once: models are loaded, and it needs no further columns.

    Args:
        target: A reward model's folder, or a reward as ``--reward`` takes it.

    Raises:
        LMEnvsError: There is no such reward, or it cannot score a text.
    """
    reward = make_reward(RewardModel(target) if Path(target).expanduser().is_dir() else target)
    reward(["a"], [" text"])
    return reward


class _Refused(Exception):
    """A request that cannot be answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers one request after the other on a connection."""

    server: RewardServer
    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def do_GET(self) -> None:
        """Answer ``/health``."""
        if self.path == "/health":
            self._answer(200, {"status": "ok", "reward": list(self.server.reward.names)})
        else:
            self._answer(404, {"error": f"there is no {self.path!r:.80}; scores: POST /, state: GET /health"})

    def do_POST(self) -> None:
        """Answer with scores."""
        try:
            prompts, completions = _texts(self._body())
            self._answer(200, {"scores": self.server.score(prompts, completions)})
        except _Refused as refused:
            self.close_connection = True  # the rest of the request was not read
            self._answer(refused.status, {"error": str(refused)})
        except LMEnvsError as error:
            _logger.warning("%s", error)
            self._answer(500, {"error": str(error)})
        except TimeoutError:
            self.close_connection = True

    def _body(self) -> bytes:
        if self.path != "/":
            raise _Refused(404, f"there is no {self.path!r:.80}; scores: POST /, state: GET /health")
        wanted = f"Bearer {self.server.token}".encode()
        if self.server.token and not hmac.compare_digest(self.headers.get("Authorization", "").encode(), wanted):
            raise _Refused(401, "expected the header 'Authorization: Bearer TOKEN' with the server's token")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _Refused(411, "expected the header Content-Length with the number of bytes")
        if int(length) > MOST_BYTES:
            raise _Refused(413, f"expected at most {MOST_BYTES} bytes, got {length}. Send fewer texts at once")
        return self.rfile.read(int(length))

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet about requests that went well."""
        _logger.debug(format, *args)


def _texts(body: bytes) -> tuple[list[str], list[str]]:
    """The prompts and completions of a request."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _Refused(400, f"the request is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise _Refused(400, f"expected an object with prompts and completions, got {type(request).__name__}")
    found = []
    for name in ("prompts", "completions"):
        texts = request.get(name)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise _Refused(400, f"expected {name!r} to be a list of texts, got {json.dumps(texts)[:80]}")
        found.append(texts)
    if len(found[0]) != len(found[1]):
        raise _Refused(400, f"expected a completion for each prompt, got {len(found[0])} and {len(found[1])}")
    return found[0], found[1]
