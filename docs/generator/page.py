"""What a generated page is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Page:
    """A page of the reference or a tutorial.

    Attributes:
        name: Its file's name, without ``.md``.
        title: What it is called in the navigation and the table of its section.
        summary: A sentence about it, for that table.
        body: Its Markdown.
        files: Other files that it shows: their names and what is in them.
    """

    name: str
    title: str
    summary: str
    body: str
    files: dict[str, bytes] = field(default_factory=dict)
