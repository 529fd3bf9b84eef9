"""Success where there is one right text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_reference(prompts: Sequence[str], completions: Sequence[str], reference: Any, **columns: Any) -> list[bool]:
    """Whether each completion is the reference, or one of several; white space does not count."""
    return [_is_one_of(text, right) for text, right in zip(completions, reference, strict=True)]


def _is_one_of(text: str, right: str | Sequence[str]) -> bool:
    references = [right] if isinstance(right, str) else right
    return text.split() in [reference.split() for reference in references]
