"""Prompts and the columns that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lm_envs.errors import DataError


@dataclass(frozen=True)
class PromptDataset:
    """Prompts with the columns that rewards read.

    Attributes:
        prompts: The ``n`` prompts.
        columns: Further data by name, each a list of length ``n``; a value that a row lacks is None.

    Raises:
        DataError: There is no prompt, or a column has another length.
    """

    prompts: list[str]
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that there are prompts and that every column belongs to them."""
        if not self.prompts:
            raise DataError("a data set needs at least one prompt, got none.")
        for name, values in self.columns.items():
            if len(values) != len(self.prompts):
                raise DataError(f"column {name!r} has {len(values)} values for {len(self.prompts)} prompts.")

    def __len__(self) -> int:
        """The number of prompts."""
        return len(self.prompts)

    def row(self, i: int) -> dict[str, Any]:
        """The row ``i``: ``"prompt"`` and all columns."""
        return {"prompt": self.prompts[i], **{name: values[i] for name, values in self.columns.items()}}
