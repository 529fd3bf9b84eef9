"""Loading without transformers' reports: what is wrong with a model becomes an exception instead."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_transformers(progress_bars: bool = False) -> Iterator[None]:
    """Silence transformers' logging inside the block, and restore it after it.

    Args:
        progress_bars: Leave the bars on, as a download deserves.
    """
    from transformers.utils import logging

    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not progress_bars:
        _switch_bars(False)
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars and not progress_bars:
            _switch_bars(True)


def _switch_bars(on: bool) -> None:
    from transformers.utils import logging

    with warnings.catch_warnings():  # HF_HUB_DISABLE_PROGRESS_BARS makes the hub's client warn on a change
        warnings.simplefilter("ignore")
        (logging.enable_progress_bar if on else logging.disable_progress_bar)()
