"""The page, the Markdown, the figures and the README's part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("rliable")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from benchmarks.report import figures, main, readme_part
from benchmarks.report.writing import one_line

from .conftest import MACHINE, case, cell, put, write_results

EVIL = "<script>alert(1)</script> | `x` </td>\n<b>two</b> [a](b)"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what a page loads, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named = {key: value or "" for key, value in attrs}
        self.loads += [named[key] for key in ("src", "srcset", "data", "poster", "xlink:href") if key in named]
        self.loads += [named["href"]] if tag != "a" and "href" in named else []
        self.ids += [named["id"]] if "id" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with their report; tests only read them."""
    cases = [
        case("a", ["ppo", "dqn"], ["untrained", "random", "best_of_n"], title="Lamps & <shades>"),
        case("b", ["ppo", "dqn"], ["untrained", "oracle"]),
    ]
    ends = {"untrained": 1.0, "random": 0.2, "best_of_n": 1.3, "oracle": 2.0, "ppo": 1.7, "dqn": 1.4}
    names = {each["name"]: [*each["algorithms"], *each["baselines"]] for each in cases}
    scores = {
        (name, who, seed): ends[who] + 0.05 * seed * (who in ("ppo", "dqn"))
        for name in names for who in names[name] for seed in (0, 1) if (name, who, seed) != ("b", "dqn", 1)
    }  # fmt: skip
    written = write_results(tmp_path_factory.mktemp("report"), cases, scores)
    texts = [{"prompt": EVIL, "before": EVIL, "after": EVIL, "reward_before": None, "reward_after": -0.5}]
    put(written, cell(("a", "ppo", 0), 1.7, texts=texts))
    main([str(written)])
    return written


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_loads_nothing(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    assert all(each.startswith(("#", "data:")) for each in parsed.loads), parsed.loads
    assert not parsed.tags & {"script", "iframe", "object", "embed", "img"}
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(set(parsed.ids)) == len(parsed.ids)


def test_links_inside_the_page_lead_somewhere(page: str) -> None:
    ids = set(Page(page).ids)
    targets = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert len(targets) > 10 and set(targets) <= ids


def test_the_page_shows_everything(page: str) -> None:
    for text in (
        "The set suite trains the model tiny on 2 cases with 2 algorithms (PPO and DQN), 2 seeds each",
        "17 of 18 cells are finished",
        "There are 2 seeds: the intervals of single cases rest on as many runs and are too narrow.",
        "Lamps &amp; &lt;shades&gt;",
        "python -m benchmarks run --only a/ppo/0",
        "python -m benchmarks run --set suite --only b/dqn/1  # not finished",
        "0123456789ab",
        "Some CPU",
        "not measured on a GPU",
        "1 of 2 seeds",
        "&lt;script&gt;alert(1)",
        "The lamp is bad.",
        "of 100 bootstrap samples",  # what the fixture of these tests sets
    ):
        assert text in page, text
    assert page.count("<svg") == 4 + 2


def test_the_markdown_shows_the_same_and_its_figures_are_there(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    figures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(figures) == 6
    for name in figures:
        root = ElementTree.parse(folder / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "17 of 18 cells are finished" in text and "not measured on a GPU" in text
    assert "\\<script\\>" in text and "<script>" not in text


def test_tables_of_the_markdown_have_whole_rows(folder: Path) -> None:
    lines = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    tables = [i for i, line in enumerate(lines) if line.startswith("|---")]
    assert len(tables) >= 6
    for i in tables:
        columns = len(re.findall(r"(?<!\\)\|", lines[i]))
        rows = [lines[i - 1], lines[i + 1]]
        while lines[i + 1].startswith("|"):
            rows.append(lines[i := i + 1])
        assert all(len(re.findall(r"(?<!\\)\|", row)) == columns for row in rows), rows


def test_the_same_cells_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30}):
        main([str(folder), "--out", str(tmp_path / "again")])
    for file in (tmp_path / "again").rglob("*.*"):
        assert file.read_bytes() == (folder / file.relative_to(tmp_path / "again")).read_bytes(), file
    assert len(list((tmp_path / "again" / "figures").iterdir())) == 6


def test_results_of_a_gpu_are_shown(write_folder: Callable[..., Path]) -> None:
    folder = write_folder([case("a", ["ppo"])], {("a", "untrained", 0): 1.0})
    speed = {"length": "64+128", "system": "project", **{key: {"median": 12345.6} for key in ("rollout", "update")}}
    result = {"benchmark": "throughput", "machine": {"device": "NVIDIA H0"}}
    summary = [{**speed, "end_to_end": {"median": 9.0}}, {"other": 1}]
    (folder.parent / "throughput_gpu.json").write_text(json.dumps({**result, "summary": summary}))
    (folder.parent / "throughput_cpu.json").write_text(json.dumps({**result, "machine": {"device": "cpu"}}))
    (folder.parent / "broken.json").write_text("{")
    put(folder, cell(("a", "ppo", 1), 1.5, machine={**MACHINE, "device": "NVIDIA H1"}))
    main([str(folder)])
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text()
        assert "Cells ran on: NVIDIA H1." in text and "not measured on a GPU" not in text
        assert "../throughput_gpu.json" in text and "12,346" in text and "throughput_cpu" not in text


def test_a_folder_with_one_cell_makes_a_page(write_folder: Callable[..., Path]) -> None:
    folder = write_folder([case("a", ["ppo"])], {("a", "untrained", 0): 1.0})
    main([str(folder)])
    page = Page((folder / "report.html").read_text())
    assert page.open == [] and "svg" not in page.tags


def test_errors_end_the_command_with_a_message(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="error: .*has no suite.json"):
        main([str(tmp_path)])


def test_a_place_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="error: cannot write the report into .* Choose another folder with --out"):
        main([str(folder), "--out", str(tmp_path / "file")])


def test_the_readmes_part(folder: Path) -> None:
    text = readme_part(folder)
    figure = re.search(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert figure is not None and (folder / figure[1]).stat().st_size < 150_000
    assert "| PPO | 0.7" in text
    row = next(line for line in text.splitlines() if line.startswith("| Case b"))
    assert row == "| Case b (reward, at best 2) | **1.73** | 1.40 | 1.00 |  |  | 2.00 |"


def test_one_line_leaves_no_markup() -> None:
    assert one_line("a|b\n*c* <d>") == "a\\|b \N{DOWNWARDS ARROW WITH CORNER LEFTWARDS} \\*c\\* \\<d\\>"


def test_a_baseline_far_below_leaves_the_height_to_the_curves() -> None:
    steps = np.array([0.0, 10.0])
    curve = np.array([[1.9, 2.0]] * 3)
    drawn = figures.learning_curves("a", {"ppo": curve}, steps, {"untrained": 1.8, "random": 0.04}, ("steps", "reward"))
    assert "random 0.04" in drawn and ">untrained<" in drawn
    near = figures.learning_curves("a", {"ppo": curve}, steps, {"untrained": 1.8, "random": 1.7}, ("steps", "reward"))
    assert ">random<" in near
