"""A page for each public class and function of :mod:`agents` and each wrapper of :mod:`lm_envs.wrappers`."""

from __future__ import annotations

from typing import Any

import agents
from docs.generator.docstrings import address, docstring, first_sentence
from docs.generator.navigation import with_navigation
from docs.generator.page import Page
from lm_envs import wrappers

SECTIONS = {
    "agents.policies": ("policies", "Policies"),
    "agents.buffers": ("buffers", "Buffers"),
    "agents.callbacks": ("callbacks", "Callbacks"),
    "lm_envs.wrappers": ("wrappers", "Wrappers"),
}
OTHERS = ("functions", "Further functions and classes")
"""Where a public name goes whose module is in none of the packages above."""


def class_pages() -> dict[str, str | bytes]:
    """The sections of :data:`SECTIONS` and :data:`OTHERS`."""
    sections: dict[tuple[str, str], list[Page]] = {section: [] for section in (*SECTIONS.values(), OTHERS)}
    for module, name in _public():
        sections[section_of(getattr(module, name))].append(_page(module, name))
    files: dict[str, str | bytes] = {}
    for (folder, title), pages in sections.items():
        files |= with_navigation(f"reference/{folder}", title, pages)
    return files


def section_of(thing: Any) -> tuple[str, str]:
    """The folder and the title of the section to which a class or function belongs."""
    package = ".".join(thing.__module__.split(".")[:2])
    return SECTIONS.get(package, OTHERS)


def _public() -> list[tuple[Any, str]]:
    return [(module, name) for module in (agents, wrappers) for name in sorted(module.__all__)]


def _page(module: Any, name: str) -> Page:
    thing = getattr(module, name)
    lines = [f"# {name}", "", "```python", f"from {module.__name__} import {name}", "```", ""]
    lines += [f"::: {address(thing)}", "    options:", "      show_root_heading: true", ""]
    return Page(name, f"{name}", first_sentence(docstring(thing)), "\n".join(lines))
