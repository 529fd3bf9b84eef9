from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agents.label_page.access import MOST_OPEN_LINKS, Access, key_file_of
from lm_envs.errors import ConfigurationError, DataError


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(tmp_path / "key")


def test_a_token_lets_one_browser_in(access: Access) -> None:
    token = access.new_token("ada")
    session = access.enter(token)
    assert session is not None and session.annotator == "ada"
    assert access.enter(token) is None
    assert access.enter("guess") is None


def test_the_oldest_of_too_many_links_ends(access: Access) -> None:
    tokens = [access.new_token() for _ in range(MOST_OPEN_LINKS + 1)]
    assert access.enter(tokens[0]) is None
    assert access.enter(tokens[1]) is not None


def test_sessions_go_on_with_the_same_key(tmp_path: Path) -> None:
    before = Access(tmp_path / "key")
    session = before.enter(before.new_token())
    assert session is not None
    named = session.named("Zoë 🎈")
    after = Access(tmp_path / "key")
    assert after.session(before.cookie(named)) == named
    assert after.is_form_token(named, before.form_token(session))
    assert after.cookie_name == before.cookie_name


def test_another_key_knows_nobody(tmp_path: Path, access: Access) -> None:
    other = Access(tmp_path / "other")
    session = other.enter(other.new_token())
    assert session is not None
    assert access.session(other.cookie(session)) is None
    assert not access.is_form_token(session, other.form_token(session))
    assert access.cookie_name != other.cookie_name


@pytest.mark.parametrize("cookie", ["", ".", "5b5d", "5b5d.00", "é.é", "a.b.c"])
def test_a_forged_cookie_is_no_session(access: Access, cookie: str) -> None:
    assert access.session(cookie) is None


def test_a_changed_name_is_no_session(access: Access) -> None:
    session = access.enter(access.new_token("ada"))
    assert session is not None
    payload, _, signature = access.cookie(session).partition(".")
    forged = payload.replace(b"ada".hex(), b"bob".hex())
    assert forged != payload
    assert access.session(f"{forged}.{signature}") is None


def test_only_the_owner_reads_the_key(tmp_path: Path) -> None:
    file = key_file_of(tmp_path / "feedback.sqlite")
    Access(file)
    assert file.name == "feedback.sqlite.session-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("content", ["", "not a key", "00ff"])
def test_a_damaged_key_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(DataError, match="64 hexadecimal digits. Delete the file"):
        Access(tmp_path / "key")


def test_a_key_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot keep the key"):
        Access(tmp_path / "missing" / "key")
