"""Files of the repository that the pages show: pictures of results, the changelog."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = (".png", ".svg")


def copied_files() -> dict[str, str | bytes]:
    """Every picture below ``benchmarks/results``, the report's page beside them, and the changelog."""
    results = ROOT / "benchmarks" / "results"
    shown = [path for path in sorted(results.rglob("*")) if path.suffix in PICTURES or path.name == "report.html"]
    files: dict[str, str | bytes] = {
        f"results/{path.relative_to(results).as_posix()}": path.read_bytes() for path in shown
    }
    files["changelog.md"] = _without_places((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    return files


def _without_places(text: str) -> str:
    """Links to files of the repository become their texts: those files are not part of the site."""
    return re.sub(r"\[([^\]]+)\]\((?!https?://)[^)]+\)", r"\1", text)
