"""A hub that cannot be found is reported at once."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest

from lm_envs import load_language_model, load_tokenizer
from lm_envs.errors import ModelError


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def fail(host: str, port: int) -> None:
        asked.append(host)
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return asked


@pytest.mark.parametrize("load", [load_tokenizer, load_language_model])
def test_no_retries_without_a_connection(unreachable: list[str], load: Callable[[str], object]) -> None:
    with pytest.raises(ModelError, match="someone/unknown.*no connection to.*Check the spelling"):
        load("someone/unknown")
    assert unreachable == ["huggingface.co"]


def test_folders_need_no_connection(unreachable: list[str], lm_folder: str, tmp_path: Path) -> None:
    assert load_tokenizer(lm_folder).vocab_size == 64
    assert not unreachable
