"""Questions of reasoning-gym whose answers are few: with all of them as choices, so that any agent sometimes is right.

The small model that the suite trains has never seen such questions; among all tokens it would hardly ever come across a
right answer. Importing this module registers the data set ``reasoning_choices`` of ``QA-v0``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.errors import DataError
from lm_envs.qa.questions import Question
from lm_envs.qa.sources.reasoning import QUESTION, ReasoningGymQuestions
from lm_envs.qa.sources.registry import register

NAME = "reasoning_choices"


class ReasoningChoices(ReasoningGymQuestions):
    """Questions of a generator, each with the same choices.

    Args:
        generators: As for :class:`~lm_envs.qa.sources.reasoning.ReasoningGymQuestions`.
        split: Likewise.
        choices: All answers that there are.
        config: As for the class above.
        size: Likewise.
        template: Likewise.

    Raises:
        LMEnvsError: As in the class above.
    """

    def __init__(
        self,
        generators: str = "",
        split: str = "train",
        choices: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        size: int | None = None,
        template: str = QUESTION,
    ) -> None:
        super().__init__(generators, split, config, size, template)
        self._choices = tuple(map(str, choices))
        self.max_choices = len(self._choices)

    def __getitem__(self, index: int) -> Question:
        """The question of that number.

        Raises:
            DataError: Its answer is none of the choices.
        """
        question = super().__getitem__(index)
        if question.answers[0] not in self._choices:
            raise DataError(
                f"the answer to question {index} is {question.answers[0]!r}; expected one of the choices "
                f"{', '.join(self._choices)}. Give all answers that the generator has with this config."
            )
        return dataclasses.replace(question, choices=self._choices)


register(NAME, ReasoningChoices)
