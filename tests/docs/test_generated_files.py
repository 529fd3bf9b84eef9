"""Every name has its page, and links between pages lead somewhere."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest
from typer.main import get_command

import agents
import lm_envs
from agents.cli import app
from agents.recipes.algorithms import ALGORITHMS
from benchmarks.__main__ import COMMANDS
from docs.generator import generated_files
from docs.generator.class_pages import section_of
from lm_envs import models, rewards, tasks, wrappers
from lm_envs.dialogue import partners

PAGES = Path(__file__).parents[2] / "docs" / "pages"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def generated() -> dict[str, str | bytes]:
    return generated_files()


@pytest.fixture(scope="module")
def site(generated) -> dict[str, str]:
    """All Markdown pages, by their path in the site."""
    written = {path.relative_to(PAGES).as_posix(): path.read_text() for path in PAGES.rglob("*.md")}
    assert not written.keys() & generated.keys()
    return {**written, **{path: text for path, text in generated.items() if isinstance(text, str)}}


def test_every_name_has_a_page(site):
    expected = {
        "environments": [env_id.partition("-")[0].lower() for env_id in lm_envs.ENV_IDS],
        "rewards": rewards.names(),
        "tasks": tasks.names(),
        "partners": partners.names(),
        "models": models.aliases(),
        "algorithms": ALGORITHMS,
        "commands": get_command(app).commands,
        "benchmarks": [*COMMANDS, "cases"],
    }
    for folder, names in expected.items():
        missing = [name for name in names if f"reference/{folder}/{name}.md" not in site]
        assert len(names) > 1 and not missing, f"no page in reference/{folder} for {missing}"
    for module in (agents, wrappers):
        for name in module.__all__:
            assert f"reference/{section_of(getattr(module, name))[0]}/{name}.md" in site, name
    assert {f"tutorials/{path.stem}.md" for path in EXAMPLES.glob("*.py")} <= site.keys()


def test_every_section_lists_its_pages(site):
    for path, text in site.items():
        folder, name = posixpath.split(path)
        if name == "index.md" and f"{folder}/SUMMARY.md" in site:
            pages = {posixpath.basename(each) for each in site if posixpath.dirname(each) == folder}
            listed = set(re.findall(r"\]\(([\w-]+\.md)\)", text + site[f"{folder}/SUMMARY.md"]))
            assert pages - {"SUMMARY.md"} == listed, folder


def test_links_lead_to_pages_and_headings(site, generated):
    files = {*site, *generated, *(path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*") if path.is_file())}
    folders = {posixpath.dirname(path) for path in files}
    n_links = 0
    for path, text in site.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
            if link.startswith(("http://", "https://")):
                continue
            target, _, heading = link.partition("#")
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
            assert found in (folders if link.endswith("/") else files), f"{path} links to {link}"
            assert not heading or heading in headings(site[found]), f"{path} links to {link}"
            n_links += 1
    assert n_links > 200


def test_pages_written_by_hand_are_in_the_navigation():
    navigation = (PAGES.parent / "mkdocs.yml").read_text().partition("\nnav:")[2]
    listed = set(re.findall(r"([\w/-]+\.md)$", navigation, re.M)) - {"changelog.md"}
    assert listed == {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.md")}


def test_an_episode_was_played(generated):
    for env_id in lm_envs.ENV_IDS:
        page = generated[f"reference/environments/{env_id.partition('-')[0].lower()}.md"]
        (episode,) = re.findall(r'<pre class="episode">(.*)</pre>', page)
        assert "tokens, " in episode and "\x1b" not in episode
        assert f"## {'Observation Space'}" in page and "| action | `Discrete(" in page


def test_docstrings_carry_no_roles_of_sphinx_and_no_addresses_of_objects(site):
    for path, text in site.items():
        assert not re.search(r":(?:class|func|mod|meth|data):`", text), path
        assert " at 0x" not in text, path


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "``", text, flags=re.S)


def headings(text: str) -> set[str]:
    """The anchors that the toc extension gives to the headings of a page."""
    found = re.findall(r"^#+ (.*)", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in found}
