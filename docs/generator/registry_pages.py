"""Pages for what else has a name on the command line: tasks, partners, questions, models, algorithms."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import lm_envs
from agents.recipes.algorithms import ALGORITHMS
from agents.recipes.files import FOLDER, observations
from docs.generator.docstrings import address, as_markdown, docstring, first_sentence
from docs.generator.navigation import with_navigation
from docs.generator.page import Page
from lm_envs import tasks
from lm_envs.dialogue import partners
from lm_envs.models import aliases
from lm_envs.qa.sources import registry as questions

MODELS = Path(lm_envs.__file__).parent / "models"
SECTIONS = (
    ("environments", "Environments"),
    ("tasks", "Tasks of TextGen-v0"),
    ("partners", "Partners of Dialogue-v0"),
    ("questions", "Questions of QA-v0"),
    ("rewards", "Rewards"),
    ("wrappers", "Wrappers"),
    ("policies", "Policies"),
    ("buffers", "Buffers"),
    ("callbacks", "Callbacks"),
    ("functions", "Further functions and classes"),
    ("models", "Models"),
    ("algorithms", "Algorithms and hyperparameters"),
    ("commands", "lm-envs"),
    ("benchmarks", "python -m benchmarks"),
)


def registry_pages() -> dict[str, str | bytes]:
    """The files of these sections, and of the reference as a whole."""
    summary = "\n".join(["- [Reference](index.md)", *(f"- [{title}]({folder}/)" for folder, title in SECTIONS), ""])
    index = ["# Reference", "", "Made from the docstrings and registries of the code.", ""]
    index += [f"- [{title}]({folder}/index.md)" for folder, title in SECTIONS]
    sections = {
        "tasks": [_task(name) for name in tasks.names()],
        "partners": [_partner(name) for name in partners.names()],
        "questions": [_source(name) for name in questions.names()],
        "models": [_model(name, text) for name, text in aliases().items()],
        "algorithms": [_algorithm(name) for name in ALGORITHMS],
    }
    files: dict[str, str | bytes] = {"reference/SUMMARY.md": summary, "reference/index.md": "\n".join([*index, ""])}
    for folder, pages in sections.items():
        files |= with_navigation(f"reference/{folder}", dict(SECTIONS)[folder], pages)
    return files


def _task(name: str) -> Page:
    task = tasks.get(name)
    module = inspect.getmodule(task.load_split) or tasks
    lines = [f"# {name}", "", task.description, "", "```python", f'gym.make("TextGen-v0", task="{name}")', "```", ""]
    lines += ["| | |", "|---|---|", f"| prompt | at most {task.max_prompt_tokens} tokens |"]
    lines += [f"| completion | at most {task.max_new_tokens} tokens |", f"| default reward | `{task.reward!r}` |", ""]
    lines += ["## Two of its prompts", "", *_prompts(name), "", as_markdown(inspect.getdoc(module) or ""), ""]
    return Page(name, name, first_sentence(task.description), "\n".join(lines))


def _prompts(name: str) -> list[str]:
    shown = tasks.get(name).load("validation").prompts[:2]
    return [line for prompt in shown for line in ("```text", prompt, "```", "")]


def _partner(name: str) -> Page:
    partner: Any = partners.get(name)
    lines = [f"# {name}", "", "```python", f'gym.make("Dialogue-v0", partner="{name}")', "```", ""]
    lines += [f"Default reward: `{partner.default_reward!r}`.", "", f"::: {address(partner)}", ""]
    return Page(name, name, first_sentence(docstring(partner)), "\n".join(lines))


def _source(name: str) -> Page:
    source = questions.get(name)
    asked = f"{name}:chain_sum" if name == questions.GENERATORS else name
    lines = [f"# {name}", "", "```python", f'gym.make("QA-v0", dataset="{asked}")', "```", ""]
    lines += [f"::: {address(source)}", ""]
    return Page(name, name, first_sentence(docstring(source)), "\n".join(lines))


def _model(name: str, text: str) -> Page:
    """What the alias stands for, and the model's card where it is in the package."""
    card = MODELS / name / "README.md"
    written = card.read_text(encoding="utf-8") if card.exists() else ""
    shown = re.sub(r"\A---\n.*?\n---\n+# [^\n]*\n", "", written, flags=re.S)  # without the hub's metadata
    lines = [f"# {name}", "", f"{text[0].upper()}{text[1:]}.", "", "```python"]
    lines += [f'gym.make("TextGen-v0", model="{name}")', "```", "", shown]
    return Page(name, name, text, "\n".join(lines))


def _algorithm(name: str) -> Page:
    algorithm = ALGORITHMS[name]
    source = f"`{algorithm.module}.{algorithm.name}`"
    note = f"; {algorithm.note}" if algorithm.note else ""
    lines = [f"# {name}", "", f"The class {source}, unchanged{note}.", ""]
    lines += [
        f"Policies observe {' or '.join(observations(name))}.",
        "",
        "```bash",
        f"lm-envs train TextGen-v0 --algo {name} --run runs/{name}",
        "```",
        "",
    ]
    for path in sorted(FOLDER.glob(f"{name}.yml")) + sorted(FOLDER.glob(f"{name}_hidden.yml")):
        text = path.read_text(encoding="utf-8").strip()
        lines += [f'```yaml title="agents/hyperparameters/{path.name}"', text, "```", ""]
    return Page(name, name, f"{source}{note}", "\n".join(lines))
