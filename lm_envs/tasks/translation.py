"""Translate two sentences from English into Spanish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_envs.tasks.own_texts import OwnTexts
from lm_envs.tasks.references import is_reference
from lm_envs.tasks.task import Task

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset


def load_split(split: str) -> PromptDataset:
    """Pairs of sentences of the small world; the columns are ``source``, in English, and ``reference``, in Spanish."""
    from lm_envs.data import PromptDataset
    from lm_envs.world.spanish import translation_items

    items = translation_items(split)
    columns = {"source": [item.english for item in items], "reference": [item.spanish for item in items]}
    return PromptDataset(prompts=[item.prompt for item in items], columns=columns)


TRANSLATION = Task(
    name="translation",
    description="Translate two sentences from English into Spanish.",
    load_split=load_split,
    reward={"chrf": 1.0, "exact_match": 1.0},
    is_success=is_reference,
    max_prompt_tokens=40,
    max_new_tokens=72,
    read_own=OwnTexts(
        source_columns=("translation.en", "english", "en", "source"),
        reference_columns=("translation.es", "spanish", "es", "target", "reference"),
        template="{source} In Spanish:",
    ),
)
