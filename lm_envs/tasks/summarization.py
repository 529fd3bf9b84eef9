"""Write the headline of a passage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_envs.tasks.own_texts import OwnTexts
from lm_envs.tasks.references import is_reference
from lm_envs.tasks.task import Task

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset


def load_split(split: str) -> PromptDataset:
    """Passages of the small English world; the columns are ``source``, the passage, and ``reference``, its headline."""
    from lm_envs.data import PromptDataset
    from lm_envs.world.headlines import headline_items

    items = headline_items(split)
    columns = {"source": [item.passage for item in items], "reference": [item.text for item in items]}
    return PromptDataset(prompts=[item.prompt for item in items], columns=columns)


SUMMARIZATION = Task(
    name="summarization",
    description="Say in one headline what is most important in a passage.",
    load_split=load_split,
    reward={"rougeL": 1.0, "faithfulness": 0.5, "exact_match": 1.0},
    is_success=is_reference,
    max_prompt_tokens=80,
    max_new_tokens=24,
    read_own=OwnTexts(
        source_columns=("document", "article", "dialogue", "text", "source"),
        reference_columns=("summary", "highlights", "headline", "reference"),
        template="{source} Headline:",
    ),
)
