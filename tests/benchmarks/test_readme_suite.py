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
    for name, value in (("ROOT", tmp_path), ("RESULTS", folder.parent), ("SUITE", folder)):
        monkeypatch.setattr(readme_suite, name, value)
    text = "![Means](figures/iqm.svg) after [Agarwal et al.](https://arxiv.org/abs/2108.13264)"
    monkeypatch.setattr(benchmarks.report, "readme_part", lambda _: text)
    return tmp_path


@pytest.mark.parametrize(
    ("document", "link"),
    [
        ("README.md", "benchmarks/results/suite/figures/iqm.svg"),
        ("docs/pages/index.md", "results/suite/figures/iqm.svg"),
        ("docs/pages/measured/suite.md", "../results/suite/figures/iqm.svg"),
    ],
)
def test_links_lead_to_the_results(suite, document, link):
    part = suite_part(suite / document)
    assert part == f"![Means]({link}) after [Agarwal et al.](https://arxiv.org/abs/2108.13264)"


def test_without_results_the_part_says_so(suite, monkeypatch):
    (readme_suite.SUITE / "suite.json").unlink()
    assert suite_part(ROOT / "README.md") == readme_suite.UNMEASURED
