"""A hook of MkDocs: drawings become part of the page, so that they follow its theme. A forge shows them as images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_DRAWING = re.compile(r'<img [^>]*src="(?:\.\./)*assets/(\w+\.svg)"[^>]*>')


def on_page_content(html: str, config: Any, **_: Any) -> str:
    """Replace images of ``assets`` by the files that they show."""
    assets = Path(config["docs_dir"]) / "assets"
    return _DRAWING.sub(lambda found: (assets / found[1]).read_text(encoding="utf-8"), html)
