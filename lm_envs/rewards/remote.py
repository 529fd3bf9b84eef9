"""Scores from another machine, over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import numbers
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lm_envs.errors import ConfigurationError, RewardError
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_positive_integer

TOKEN_VARIABLE = "LM_ENVS_REWARD_TOKEN"
MOST_BYTES = 2**26  # of an answer
SHOWN = 200  # characters of an answer in a message

_REMEDY = (
    "Nothing that was trained is lost: mend or start the server (lm-envs serve-reward FOLDER), then go on from the "
    "last checkpoint with lm-envs train --resume RUN"
)


@register("remote")
@dataclass(frozen=True)
class RemoteReward:
    """The score that a server gives: ``remote:http://127.0.0.1:8000``.

    The server gets ``POST URL`` with the JSON ``{"prompts": [...], "completions": [...]}`` and answers
    ``{"scores": [...]}``, one finite number for each completion; ``lm-envs serve-reward`` is such a server. The range
    is the server's. None is sent as an empty completion.

    What may pass (no connection, no answer in time, an answer 5xx) is tried again, after a pause that doubles each
    time. An answer 4xx, or one that makes no sense, is an error at once.

    Args:
        url: The address, ``http://`` or ``https://``; no proxy is used.
        timeout: Seconds to wait for the connection, and for each part of the answer.
        retries: How often a request is repeated at most.
        batch_size: Most completions in one request.
        backoff: Seconds before the first repetition.
        token: Sent as ``Authorization: Bearer TOKEN``. None: that of the environment variable
            ``LM_ENVS_REWARD_TOKEN``, which stays out of configurations and logs, if it is set.
    """

    __name__ = "remote"
    url: str
    timeout: float = 30.0
    retries: int = 3
    batch_size: int = 64
    backoff: float = 0.5
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the parameters; the server is not asked yet."""
        _parts(self.url)
        require_positive_integer("remote", "batch_size", self.batch_size)
        if not isinstance(self.retries, int) or isinstance(self.retries, bool) or self.retries < 0:
            raise ConfigurationError(f"retries of the reward 'remote' has to be an integer >= 0, got {self.retries!r}.")
        for name, value, least in (("timeout", self.timeout, "> 0"), ("backoff", self.backoff, ">= 0")):
            number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value < 0 or (value == 0 and least == "> 0"):
                raise ConfigurationError(
                    f"{name} of the reward 'remote' has to be a number of seconds {least}, got {value!r}."
                )

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion.

        Raises:
            RewardError: The server cannot be reached, does not answer in time, refuses, or answers something else
                than one finite number for each completion.
        """
        scores: list[float] = []
        for start in range(0, len(prompts), self.batch_size):
            end = start + self.batch_size
            texts = [text or "" for text in completions[start:end]]
            scores += self._ask(list(prompts[start:end]), texts)
        return scores

    def _ask(self, prompts: list[str], completions: list[str]) -> list[float]:
        """The scores of one request, which is repeated where that may help."""
        body = json.dumps({"prompts": prompts, "completions": completions}).encode()
        tries = self.retries + 1
        for number in range(tries):
            if number:
                time.sleep(self.backoff * 2 ** (number - 1))
            try:
                status, answer = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                failure = _what_happened(error, self.timeout)
                continue
            if status < 500:
                return self._read(status, answer, len(prompts))
            failure = f"it answered {status}: {_shown(answer)}"
        raise RewardError(f"the reward server {self.url} failed {tries} time(s); the last time, {failure}. {_REMEDY}")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """Status and content of the answer to one request."""
        parts = _parts(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        with contextlib.closing(connection):
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, self._headers())
            response = connection.getresponse()
            answer = response.read(MOST_BYTES)
            if response.length and len(answer) < MOST_BYTES:  # read(n) does not say when the connection ends early
                raise http.client.IncompleteRead(answer, response.length)
            return response.status, answer

    def _headers(self) -> dict[str, str]:
        token = self.token or os.environ.get(TOKEN_VARIABLE)
        return {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}

    def _read(self, status: int, answer: bytes, n: int) -> list[float]:
        """The ``n`` scores in an answer that is not to be asked for again."""
        if status != 200:
            why = "It wants a token: set LM_ENVS_REWARD_TOKEN. " if status in (401, 403) else ""
            raise RewardError(
                f"the reward server {self.url} refused the request with {status}: {_shown(answer)}. {why}"
                f"Check that the address is complete and that of a reward server. {_REMEDY}"
            )
        try:
            scores = json.loads(answer)["scores"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._nonsense(f'the JSON {{"scores": [...]}}, got {_shown(answer)}') from error
        if not isinstance(scores, list) or len(scores) != n:
            count = f"{len(scores)}" if isinstance(scores, list) else f"{scores!r:.40} in place"
            raise self._nonsense(f"{n} scores, one for each completion, got {count} of them")
        for i, score in enumerate(scores):
            if isinstance(score, bool) or not isinstance(score, (int, float)) or not _is_finite(score):
                raise self._nonsense(f"finite numbers, got {score!r:.40} as score number {i}")
        return [float(score) for score in scores]

    def _nonsense(self, expected: str) -> RewardError:
        return RewardError(f"the reward server {self.url} answered nonsense: expected {expected}. {_REMEDY}")


def _parts(url: object) -> SplitResult:
    """The parts of an address.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:  # a port that is no number
        pass
    raise ConfigurationError(
        f"the reward 'remote' needs the address of a server, for example 'remote:http://127.0.0.1:8000', got {url!r}."
    )


def _what_happened(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"it gave no answer within {timeout:g} seconds"
    if isinstance(error, ConnectionRefusedError):
        return "there was no server at that address"
    return f"the connection broke ({type(error).__name__}: {error})"


def _is_finite(score: int | float) -> bool:
    try:
        return math.isfinite(float(score))
    except OverflowError:  # an integer too large for a float
        return False


def _shown(answer: bytes) -> str:
    text = " ".join(answer[: 4 * SHOWN].decode("utf-8", errors="replace").split())
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")
