"""Continue a product review so that it becomes a positive one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_envs.tasks.task import Task

if TYPE_CHECKING:
    from lm_envs.data import PromptDataset


def load_split(split: str) -> PromptDataset:
    """Beginnings of reviews of the small English world."""
    from lm_envs.data import PromptDataset
    from lm_envs.world import review_prompts

    return PromptDataset(prompts=list(review_prompts(split)), columns={})


REVIEWS = Task(
    name="reviews",
    description="Continue the beginning of a review so that it becomes a positive one.",
    load_split=load_split,
    reward={"sentiment": 1.0},
)
