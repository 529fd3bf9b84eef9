"""What a folder of results says: tables, statistics and figures, as one HTML page, as Markdown and in the README."""

from benchmarks.report.command import main
from benchmarks.report.for_readme import readme_part

__all__ = ["main", "readme_part"]
