"""A small English world: product reviews, help-desk dialogues, passages with questions, and keyword texts.

Each kind of text has a seeded generator, prompts in three disjoint splits, and a checker that accepts
exactly the texts that the generator's grammar can write, and their beginnings. Needs NumPy only.
"""

from lm_envs.world.dialogues import Dialogue, Turn, check_turn, dialogue_items
from lm_envs.world.keywords import check_keywords_text, keyword_coverage, keyword_prompt, keyword_sets
from lm_envs.world.passages import Passage, Question, check_passage, check_question, passage_items
from lm_envs.world.report import GrammarReport
from lm_envs.world.reviews import Review, check_review, review_prompts

__all__ = [
    "Dialogue",
    "GrammarReport",
    "Passage",
    "Question",
    "Review",
    "Turn",
    "check_keywords_text",
    "check_passage",
    "check_question",
    "check_review",
    "check_turn",
    "dialogue_items",
    "keyword_coverage",
    "keyword_prompt",
    "keyword_sets",
    "passage_items",
    "review_prompts",
]
