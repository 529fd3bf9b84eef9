"""Loads a user's prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_envs.data.dataset import PromptDataset


def load_dataset(
    source: Any, *, prompt_column: str = "prompt", split: str = "train", columns: Sequence[str] | None = None
) -> PromptDataset:
    """Load prompts and columns."""
    rows = [{prompt_column: row} if isinstance(row, str) else row for row in source]
    names = columns or [name for name in rows[0] if name != prompt_column]
    return PromptDataset([row[prompt_column] for row in rows], {n: [row.get(n) for row in rows] for n in names})
