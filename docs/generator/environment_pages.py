"""A page for each registered environment: its reference, its spaces, and an episode that was really played."""

from __future__ import annotations

import html
import importlib
import inspect
import re
from typing import Any

import gymnasium as gym
from stable_baselines3.common.utils import set_random_seed

import lm_envs
from agents.evaluation.pretrained_policy import pretrained_policy
from docs.generator.docstrings import as_markdown, first_sentence
from docs.generator.page import Page

SEED = 1
ENDED = 5_000  # steps after which an environment is taken to be broken
STYLES = {"1": "said", "2": "dim", "31": "bad", "32": "good"}
"""The codes of :mod:`lm_envs.rendering` and the classes of ``pages/assets/pages.css``."""


def environment_pages() -> list[Page]:
    """One page for each id."""
    return [_page(env_id) for env_id in lm_envs.ENV_IDS]


def _page(env_id: str) -> Page:
    module, _, name = str(gym.spec(env_id).entry_point).partition(":")
    reference = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    summary, _, sections = as_markdown(reference).partition("\n\n")
    env = gym.make(env_id, render_mode="ansi")
    lines = [f"# {env_id}", "", summary, "", "```python", "import gymnasium as gym, lm_envs", ""]
    lines += [f'env = gym.make("{env_id}")', f'envs = gym.make_vec("{env_id}", num_envs=64)', "```", ""]
    lines += [
        _spaces(env),
        "## An episode",
        "",
        _introduction(env_id),
        "",
        _played(env),
        "",
        _closed_tables(sections),
        "",
    ]
    env.close()
    return Page(env_id.partition("-")[0].lower(), env_id, first_sentence(summary), "\n".join(lines))


def _introduction(env_id: str) -> str:
    return (
        f"Played when this page was made, with the default arguments and seed {SEED}, by the untrained language model "
        f'`tiny`: `gym.make("{env_id}", render_mode="ansi")`. Bold is what the agent wrote. Where actions are labels, '
        "an untrained model knows nothing about them."
    )


def _spaces(env: gym.Env[Any, Any]) -> str:
    """The spaces of the environment with its default arguments."""
    rows = [f"| observation `{key}` | `{space}` |" for key, space in env.observation_space.spaces.items()]  # type: ignore[attr-defined]
    return "\n".join(["| with default arguments | |", "|---|---|", *rows, f"| action | `{env.action_space}` |", ""])


def _played(env: gym.Env[Any, Any]) -> str:
    """The rendering of an episode by the pretrained model, as HTML."""
    assert env.spec is not None
    policy = pretrained_policy(env.spec.id, {"model": "tiny"}, "cpu")
    set_random_seed(SEED)
    obs, _ = env.reset(seed=SEED)
    for _ in range(ENDED):
        action, _ = policy.predict(obs)
        obs, _, terminated, truncated, _ = env.step(action.item())
        if terminated or truncated:
            return terminal(str(env.render()))
    raise RuntimeError(f"an episode of {env.spec.id} did not end within {ENDED} steps")


def terminal(text: str) -> str:
    """A terminal's text with its colours, as HTML in one line: Markdown must find nothing to interpret in it."""
    shown = []
    for piece in re.split(r"(\x1b\[\d+m[^\x1b]*\x1b\[0m)", text):
        styled = re.fullmatch(r"\x1b\[(\d+)m([^\x1b]*)\x1b\[0m", piece)
        inside = html.escape(styled[2] if styled else piece).replace("\n", "&#10;")
        shown.append(f'<span class="{STYLES.get(styled[1], "plain")}">{inside}</span>' if styled else inside)
    return f'<pre class="episode">{"".join(shown)}</pre>'


def _closed_tables(sections: str) -> str:
    """The reference's sections; a row of a table whose first cell is empty is joined to the row above it.

    Docstrings break long rows so; Markdown has no such rows.
    """
    lines: list[str] = []
    for line in sections.split("\n"):
        if re.match(r"\|\s+\|", line) and lines and lines[-1].startswith("|") and not _is_head(line, sections):
            above, below = _cells(lines[-1]), _cells(line)
            joined = [f"{first} {second}".strip() for first, second in zip(above, below, strict=True)]
            lines[-1] = f"| {' | '.join(joined)} |"
        else:
            lines.append(line)
    return "\n".join(lines)


def _is_head(line: str, text: str) -> bool:
    """Whether the line is a table's head: a line of dashes follows it."""
    return bool(re.search(re.escape(line) + r"\n\|\s*:?-", text))


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]
