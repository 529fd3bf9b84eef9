"""Docstrings as Markdown: the roles of Sphinx and its code blocks are replaced."""

from __future__ import annotations

import functools
import inspect
import re

LINK = re.compile(r"`([^`<]+?)\s+<(https?://[^>`]+)>`__?")
ROLE = re.compile(r":(?:class|func|meth|attr|mod|data|obj|exc):`~?([^`]+)`")


def as_markdown(text: str) -> str:
    """The same text in Markdown.

    Roles such as ``:class:`` leave their text as code, links become Markdown's, double backticks single ones, and the
    ``::`` before code a ``:``.
    """
    text = LINK.sub(lambda found: f"[{' '.join(found[1].split())}]({found[2]})", text)
    text = ROLE.sub(r"`\1`", text)
    text = re.sub(r"``(?!`)([^`\n]+)``(?!`)", r"`\1`", text)
    return re.sub(r"::[ \t]*$", ":", text, flags=re.M)


def docstring(thing: object) -> str:
    """The docstring of ``thing``, or of what a partial calls, as Markdown."""
    return as_markdown(inspect.getdoc(inner(thing)) or "")


def first_sentence(text: str) -> str:
    """The first paragraph of a docstring up to its first full stop, in one line, ready for a table's cell."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]
    return sentence.replace("|", "\\|")


def inner(thing: object) -> object:
    """What a partial calls; anything else as it is."""
    return thing.func if isinstance(thing, functools.partial) else thing


def address(thing: object) -> str:
    """The name under which ``thing`` can be imported: ``lm_envs.rewards.shape.Length``."""
    found = inner(thing)
    return f"{found.__module__}.{found.__qualname__}"  # type: ignore[attr-defined]
