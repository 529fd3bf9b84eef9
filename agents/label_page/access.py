"""Who may use the page: links that work once, and sessions that outlive a killed server."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from agents.atomic_files import write_atomically
from lm_envs.errors import ConfigurationError, DataError

KEY_BYTES = 32
MOST_OPEN_LINKS = 100


@dataclass(frozen=True)
class Session:
    """One browser that was let in.

    Attributes:
        id: A random name.
        annotator: Who sits before it; None as long as nobody said.
    """

    id: str
    annotator: str | None = None

    def named(self, annotator: str) -> Session:
        """The same browser with another annotator."""
        return replace(self, annotator=annotator)


class Access:
    """Lets browsers in by links that work once, and knows them again by a signed cookie.

    What a cookie says is in the cookie; the server keeps only the key that signs it, in a file that its owner alone can
    read. So sessions go on after the server was killed, and end for everybody when the file is deleted. Links are kept
    in memory: those that nobody opened end with the server.

    Args:
        key_file: Where the key is; made where it is not there.

    Raises:
        DataError: The file holds something else.
        ConfigurationError: The file cannot be written or read.
    """

    def __init__(self, key_file: Path) -> None:
        self._key = _read_or_make_key(key_file)
        self._links: dict[str, str | None] = {}

    @property
    def cookie_name(self) -> str:
        """Differs between feedback files: cookies of a host are shared by all of its ports."""
        return f"label-{self._signature('cookie name')[:12]}"

    def new_token(self, annotator: str | None = None) -> str:
        """A token that lets one browser in.

        Args:
            annotator: Who it is for; None: the page asks.
        """
        token = secrets.token_urlsafe(24)
        while len(self._links) >= MOST_OPEN_LINKS:
            self._links.pop(next(iter(self._links)), None)
        self._links[_digest(token)] = annotator
        return token

    def enter(self, token: str) -> Session | None:
        """Use a token up; None where it is wrong, or was used before."""
        unknown = object()
        annotator = self._links.pop(_digest(token), unknown)  # one step: of two threads one gets it
        return None if annotator is unknown else Session(secrets.token_urlsafe(12), annotator)  # type: ignore[arg-type]

    def cookie(self, session: Session) -> str:
        """What the browser keeps."""
        payload = json.dumps([session.id, session.annotator], ensure_ascii=False).encode().hex()
        return f"{payload}.{self._signature('session ' + payload)}"

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie; None where this key did not sign it."""
        payload, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature("session " + payload).encode()):
            return None
        return Session(*json.loads(bytes.fromhex(payload)))

    def form_token(self, session: Session) -> str:
        """What every form of a session carries, and no other site knows."""
        return self._signature(f"form {session.id}")

    def is_form_token(self, session: Session, token: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(token.encode(), self.form_token(session).encode())

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def key_file_of(feedback_file: Path) -> Path:
    """Beside the feedback: its folder is the one place that is surely there after a restart."""
    return feedback_file.with_name(feedback_file.name + ".session-key")


def _digest(token: str) -> str:
    """Looked up in the token's place, so that how long the look-up takes tells nothing about tokens."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _read_or_make_key(file: Path) -> bytes:
    try:
        if not file.exists():
            write_atomically(file, secrets.token_hex(KEY_BYTES) + "\n", mode=0o600)
        key = bytes.fromhex(file.read_text(encoding="ascii"))
    except OSError as error:
        raise ConfigurationError(f"cannot keep the key of the sessions in {str(file)!r}: {error}.") from error
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise DataError(
            f"{str(file)!r} should hold the key of the sessions, {2 * KEY_BYTES} hexadecimal digits. Delete the file: "
            "no answer is lost, and annotators come in again by a new link."
        )
    return key
