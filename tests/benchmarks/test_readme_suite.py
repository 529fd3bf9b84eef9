"""The suite's part: links lead from each document to the folder of results."""

from __future__ import annotations

import pytest

import benchmarks.report
from benchmarks import readme_suite
from benchmarks.readme_cells import ROOT
from benchmarks.readme_suite import suite_part


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A folder of results in the place of the committed one."""
    folder = tmp_path / "benchmarks" / "results" / "suite"
    (folder / "figures").mkdir(parents=True)
    (folder / "suite.json").write_text("{}")
    (folder / "figures" / "iqm.svg").write_text("<svg/>")
    (folder / "report.html").write_text("<html/>")
    (folder / "report.md").write_text("# Report")
    places = {"ROOT": tmp_path, "RESULTS": folder.parent, "SUITE": folder, "PAGES": tmp_path / "docs" / "pages"}
    for name, value in places.items():
        monkeypatch.setattr(readme_suite, name, value)
    text = "![Means](figures/iqm.svg) after [Agarwal et al.](https://arxiv.org/abs/2108.13264)"
    monkeypatch.setattr(benchmarks.report, "readme_part", lambda _: text)
    return tmp_path


@pytest.mark.parametrize(
    ("document", "folder", "report"),
    [
        ("README.md", "benchmarks/results/suite", "report.md"),
        ("docs/pages/index.md", "results/suite", "report.html"),
        ("docs/pages/measured/suite.md", "../results/suite", "report.html"),
    ],
)
def test_links_lead_to_the_results(suite, document, folder, report):
    part = suite_part(suite / document)
    assert part.startswith(f"![Means]({folder}/figures/iqm.svg) after [Agarwal et al.](https://arxiv.org/abs/")
    assert part.endswith(f"\n\n[The whole report]({folder}/{report})")


def test_without_results_the_part_says_so(suite, monkeypatch):
    (readme_suite.SUITE / "suite.json").unlink()
    assert suite_part(ROOT / "README.md") == readme_suite.UNMEASURED
