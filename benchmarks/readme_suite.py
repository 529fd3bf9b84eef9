"""The suite's part of the README and of its page."""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmarks.readme_cells import RESULTS, ROOT

SUITE = RESULTS / "suite"
PAGES = ROOT / "docs" / "pages"
UNMEASURED = "No results of the suite are committed yet: `python -m benchmarks run` makes them."
LINK = re.compile(r"\]\((?!https?://|#)([^)]+)\)")


def suite_part(document: Path) -> str:
    """The main figure and table of ``benchmarks/results/suite``, or that there are none yet.

    Args:
        document: What the part is for; links lead from there. Pages of the site find the pictures under ``results``.
    """
    if not (SUITE / "suite.json").exists():
        return UNMEASURED
    from benchmarks.report import readme_part

    page = "report.html" if PAGES in document.resolve().parents else "report.md"
    whole = f"\n\n[The whole report]({page})" if (SUITE / page).exists() else ""
    return LINK.sub(lambda found: f"]({_from(document, found[1])})", readme_part(SUITE) + whole)


def _from(document: Path, link: str) -> str:
    """Where a file of the folder of results, or of the repository, is for a document."""
    file = next((path for path in (SUITE / link, ROOT / link) if path.exists()), SUITE / link).resolve()
    if PAGES in document.resolve().parents and RESULTS in file.parents:
        file = PAGES / "results" / file.relative_to(RESULTS)
    return Path(os.path.relpath(file, document.resolve().parent)).as_posix()
