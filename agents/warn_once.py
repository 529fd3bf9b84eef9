"""Log lines that appear once per process."""

from __future__ import annotations

import functools
import logging

logger = logging.getLogger("agents")


@functools.cache
def warn_once(message: str) -> None:
    """Log ``message`` as a warning, the first time only."""
    logger.warning(message)
