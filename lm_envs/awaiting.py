"""One background event loop per process, on which ``async`` rewards, partners and agents are awaited together.

The loop stays open between calls, so a network client that one of them keeps stays usable, and it lives in a thread of
its own, so it works in a notebook, where a loop is running already.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import threading
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by process id: a fork must not use its parent's loop


def await_together(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    """Await all ``awaitables`` at the same time.

    Returns:
        One entry for each: its result, or the exception that it raised.
    """
    future = asyncio.run_coroutine_threadsafe(_gather(awaitables), _background_loop())
    try:
        return future.result()
    except BaseException:  # for example Ctrl-C: do not leave the requests running
        future.cancel()
        raise


def close_all(results: Iterable[Any]) -> None:
    """Close what of ``results`` is a coroutine that nobody will await: it would warn."""
    for result in results:
        if inspect.iscoroutine(result):
            result.close()


async def _gather(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*awaitables, return_exceptions=True)


def _background_loop() -> asyncio.AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="lm-envs-awaiting", daemon=True)
            thread.start()
            atexit.register(_close, os.getpid(), loop, thread)
    return loop


def _close(owner: int, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """Stop the loop when the interpreter ends, so that it does not warn about being left open."""
    if os.getpid() != owner:  # a fork shares file descriptors with the process that owns the loop
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=1.0)
    if not thread.is_alive():
        loop.close()
