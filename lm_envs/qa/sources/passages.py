"""Reading comprehension on the small world: a passage, a question, and a short answer or none."""

from __future__ import annotations

from typing import ClassVar

from lm_envs.data.templates import check_template, fill
from lm_envs.qa.questions import Question, Questions
from lm_envs.world import Passage, passage_items

TEMPLATE = "{context} Question: {question} Answer:"
"""As ``tiny`` knows questions: it goes on with ``" red."``."""


class PassageQuestions(Questions):
    """Questions about little passages; a quarter of them is not answered there, and the answer is ``unknown``.

    Args:
        split: ``"train"`` (4096 questions), ``"validation"`` or ``"test"`` (512 each).
        template: The prompt, with the fields ``{context}`` and ``{question}``.

    Columns:
        ``context`` (the passage), ``question``, ``support`` (the sentence that tells the answer, ``""`` if none does).

    Raises:
        UnknownNameError: There is no such split.
        ConfigurationError: The template has other fields.
    """

    columns: ClassVar[tuple[str, ...]] = ("context", "question", "support")

    def __init__(self, split: str = "train", template: str = TEMPLATE) -> None:
        self._template = check_template(template, ("context", "question"))
        self._passages = passage_items(split)

    def __len__(self) -> int:
        """Number of questions."""
        return len(self._passages)

    def __getitem__(self, index: int) -> Question:
        """The question of that number."""
        return _question(self._passages[index], self._template)


def _question(passage: Passage, template: str) -> Question:
    columns = {"context": passage.text, "question": passage.question.text, "support": passage.question.support}
    asked = passage.question
    return Question(fill(template, columns), (asked.answer,), columns=columns, answerable=asked.answerable)
