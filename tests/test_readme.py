"""The README is the front door: short, and its links lead somewhere. What it shows and measured: ``tests/docs``."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 250


def test_it_begins_with_the_two_commands():
    first = re.search(r"## Try it: two commands\n\n```bash\nmake train .*\nmake test .*\n```", TEXT)
    assert first and TEXT[: first.start()].count("\n## ") == 0


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if not link.startswith("http")]
    assert len(links) > 10 and not [link for link in links if not (ROOT / link).exists()]
    assert "](#" not in TEXT


def test_it_leads_to_every_guide():
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "pages" / "guides").glob("*.md")}
    assert guides <= set(re.findall(r"\]\(([^)#]+)\)", TEXT))
