"""Does the completion quote what tells the answer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from lm_envs.rewards.reference import ReferenceReward
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import words_of


@register("supporting_sentence")
@dataclass(frozen=True)
class SupportingSentence(ReferenceReward):
    """How much of the sentence that tells the answer the completion quotes.

    Formula: length of the longest run of words that sentence and completion share, divided by the sentence's words.
    Range 0 (no word) to 1 (quoted whole); case and punctuation do not count; of several sentences the one quoted best
    does. The whole completion is judged. The reward does not apply (None) to a row without such a sentence, as of a
    question that the text does not answer: combine it with one for the answer.

    Args:
        column: The column with the sentences: a text or a list of texts for each row.
    """

    __name__ = "supporting_sentence"
    column: str = "support"

    def _score_row(self, completion: str, references: list[str]) -> float | None:
        references = [reference for reference in references if reference.strip()]
        return super()._score_row(completion, references)

    def score(self, completion: str, references: list[str]) -> float:
        """The share of the best quotation in one completion."""
        said = words_of(completion)
        return max(_longest_run(said, words_of(reference)) for reference in references)


def _longest_run(said: Sequence[str], sentence: Sequence[str]) -> float:
    matcher = SequenceMatcher(None, said, sentence, autojunk=False)
    return matcher.find_longest_match().size / len(sentence) if sentence else 0.0
