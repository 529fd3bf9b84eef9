"""The page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rliable")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("selenium")

from benchmarks.report import main

from .conftest import case, write_results

ALGORITHMS = ("ppo", "a2c", "grpo", "nlpo", "trpo", "dqn", "qrdqn")
BASELINES = ("untrained", "random", "best_of_n", "supervised", "oracle")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    driver, browser = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if driver is None or browser is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    yield running
    running.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with all algorithms and baselines, and with words too long for a phone."""
    long = "Supercalifragilisticexpialidocious" * 3
    cases = [case(name, ALGORITHMS, BASELINES, title=title) for name, title in (("a", long), ("b", "Short"))]
    names = (*ALGORITHMS, *BASELINES)
    scores = {(name, who, 0): 1.0 + 0.05 * i for name in "ab" for i, who in enumerate(names)}
    scores = {key: 1.0 if key[1] == "untrained" else score for key, score in scores.items()}
    folder = write_results(tmp_path_factory.mktemp("report"), cases, scores, seeds=(0,))
    main([str(folder)])
    return (folder / "report.html").as_uri()


def test_no_width_needs_scrolling_sideways(chromium: Any, address: str) -> None:
    try:
        for width in (1280, 390):
            size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
            chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            chromium.get(address)
            chromium.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
            scrolled = (
                "return [...document.querySelectorAll('.scroll')].some(each => each.scrollWidth > each.clientWidth)"
            )
            assert chromium.execute_script(scrolled), "the wide table has to scroll inside of its frame"
        assert chromium.get_log("browser") == []
    finally:
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_figures_take_the_colours_of_the_scheme(chromium: Any, address: str) -> None:
    colors = {}
    try:
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            chromium.get(address)
            fill = "return getComputedStyle(document.querySelector('figure svg text')).fill"
            ground = "return getComputedStyle(document.body).backgroundColor"
            colors[scheme] = (chromium.execute_script(fill), chromium.execute_script(ground))
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert colors["light"][0] == "rgb(27, 31, 36)" and colors["dark"][0] == "rgb(230, 232, 235)"
    assert colors["light"][1] != colors["dark"][1]
