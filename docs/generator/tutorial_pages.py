"""A tutorial for each of ``examples/*.py``: its docstring is the introduction, the tested file the text."""

from __future__ import annotations

import ast
from pathlib import Path

from docs.generator.copied_files import ROOT
from docs.generator.docstrings import as_markdown
from docs.generator.page import Page


def tutorial_pages() -> list[Page]:
    """One page for each example, the first training first."""
    files = sorted((ROOT / "examples").glob("*.py"), key=lambda path: (path.name != "train_ppo.py", path.name))
    return [_page(path) for path in files]


def _page(path: Path) -> Page:
    source = path.read_text(encoding="utf-8")
    written = ast.get_docstring(ast.parse(source))
    if not written:
        raise ValueError(f"expected a docstring at the top of {path}: it is the tutorial's introduction")
    head, _, rest = as_markdown(written).partition("\n\n")
    title, _, command = " ".join(head.split()).partition(": `")
    code = source.split('"""', 2)[2].strip()
    lines = [f"# {title.rstrip('.')}", "", *([f"Run it: `{command}", ""] if command else []), rest, ""]
    lines += [f'```python title="examples/{path.name}"', code, "```", ""]
    lines += ["The test suite runs this file with a small budget.", ""]
    return Page(path.stem, title.rstrip("."), f"`examples/{path.name}`", "\n".join(lines))
