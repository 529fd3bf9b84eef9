"""Sections: a first page that lists the others, and the file that literate-nav reads."""

from __future__ import annotations

from collections.abc import Sequence

from docs.generator.page import Page


def with_navigation(folder: str, title: str, pages: Sequence[Page]) -> dict[str, str | bytes]:
    """The files of a section: its pages, ``index.md`` with a table of them, and ``SUMMARY.md`` for the navigation.

    Args:
        folder: Where they go, below the site's root.
        title: What the section is called.
        pages: Its pages, in order.
    """
    files: dict[str, str | bytes] = {f"{folder}/{page.name}.md": page.body for page in pages}
    for page in pages:
        files |= {f"{folder}/{name}": content for name, content in page.files.items()}
    rows = [f"| [{page.title}]({page.name}.md) | {page.summary} |" for page in pages]
    files[f"{folder}/index.md"] = "\n".join([f"# {title}", "", "| | |", "|---|---|", *rows, ""])
    entries = [f"- [{title}](index.md)", *(f"- [{page.title}]({page.name}.md)" for page in pages)]
    files[f"{folder}/SUMMARY.md"] = "\n".join(entries) + "\n"
    return files
