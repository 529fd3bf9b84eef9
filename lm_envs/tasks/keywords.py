"""Use all the given words in one or two sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_envs.tasks.task import Task

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset


def load_split(split: str) -> PromptDataset:
    """Sets of words of the small English world; the column ``keywords`` holds them."""
    from lm_envs.data import PromptDataset
    from lm_envs.world.keywords import keyword_prompt, keyword_sets

    word_sets = [list(words) for words in keyword_sets(split)]
    return PromptDataset(prompts=[keyword_prompt(words) for words in word_sets], columns={"keywords": word_sets})


def all_keywords_used(
    prompts: list[str], completions: list[str], keywords: list[list[str]], **columns: Any
) -> list[bool]:
    """Whether every word of its set occurs in a completion, as the reward ``keywords`` counts it."""
    from lm_envs.rewards import get

    return [value == 1.0 for value in get("keywords")(prompts, completions, keywords=keywords, **columns)]


KEYWORDS = Task(
    name="keywords",
    description="Use all the given words in one or two sentences.",
    load_split=load_split,
    reward={"keywords": 1.0, "fluency": 0.5},
    is_success=all_keywords_used,
)
