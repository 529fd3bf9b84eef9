"""A page for each registered reward."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from docs.generator.docstrings import address, docstring, first_sentence
from docs.generator.page import Page
from lm_envs import rewards
from lm_envs.rewards.registry import parameters

WHEN = {
    "per_step": "at every step, for the completion so far",
    "per_turn": "whenever a turn of the agent ends",
}


def reward_pages() -> list[Page]:
    """One page for each name of ``lm_envs.rewards.names()``."""
    return [_page(name) for name in rewards.names()]


def _page(name: str) -> Page:
    found = rewards.registered(name)
    lines = [f"# {name}", "", "```python", "from lm_envs import rewards", "", _asked(name), "```", ""]
    lines += ["| | |", "|---|---|", f"| paid | {_when(found)} |", f"| parameters | {_parameters(name)} |", ""]
    if isinstance(found, functools.partial):
        fixed = ", ".join(f"`{key}={value!r}`" for key, value in found.keywords.items())
        lines += [f"The reward below, with {fixed}.", ""]
    lines += [f"::: {address(found)}", "    options:", "      show_source: true", ""]
    return Page(name, name, first_sentence(docstring(found)), "\n".join(lines))


def _asked(name: str) -> str:
    """How a reward is asked for, with its required parameters: in Python, and as an environment's argument."""
    needed = [each.name for each in parameters(name) if each.default is inspect.Parameter.empty and _is_named(each)]
    in_python = "".join(f", {each}=..." for each in needed)
    in_one_word = f"{name}{':' if needed else ''}{','.join(f'{each}=...' for each in needed)}"
    return f'rewards.get("{name}"{in_python})  # or reward="{in_one_word}" of an environment'


def _when(found: Any) -> str:
    ways = [text for attribute, text in WHEN.items() if getattr(found, attribute, False)]
    return ways[0] if ways else "when the episode ends; with `shaping=True` as it grows, where it can score a part"


def _parameters(name: str) -> str:
    shown = [
        f"`{each.name}`" if each.default is inspect.Parameter.empty else f"`{each.name}={each.default!r}`"
        for each in parameters(name)
        if _is_named(each)
    ]
    return ", ".join(shown) or "none"


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
