"""An extension of griffe, which reads docstrings for mkdocstrings: they are Markdown before they are parsed."""

from __future__ import annotations

from typing import Any

import griffe

from docs.generator.docstrings import as_markdown


class MarkdownRoles(griffe.Extension):
    """Replaces the roles of Sphinx in every docstring."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
