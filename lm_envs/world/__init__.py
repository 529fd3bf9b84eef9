"""A small English world: generators of reviews, dialogues and passages, and checkers of their grammar."""

from lm_envs.world.report import GrammarReport
from lm_envs.world.reviews import Review, check_review, review_prompts

__all__ = ["GrammarReport", "Review", "check_review", "review_prompts"]
