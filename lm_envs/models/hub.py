"""Whether the Hugging Face hub can be asked at all."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit


def check_reachable(source: str) -> None:
    """Fail at once where a model would have to come from the hub and the hub's name does not even resolve.

    Asking it all the same costs a minute of retries.

    Args:
        source: A folder or hub id.

    Raises:
        ConnectionError: The model is not in the Hugging Face cache, and the hub cannot be found.
    """
    from huggingface_hub import constants, is_offline_mode, try_to_load_from_cache

    if Path(source).is_dir() or is_offline_mode() or urllib.request.getproxies():
        return
    if isinstance(try_to_load_from_cache(source, "config.json"), str):
        return
    host = urlsplit(constants.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise ConnectionError(f"no connection to {constants.ENDPOINT} ({error})") from error
