"""What a question is, and where questions come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Question:
    """A question whose answer can be checked.

    Attributes:
        prompt: What the agent is shown, to be continued by the answer.
        answers: The gold answers, each as good as the others; at least one.
        choices: What the answer has to be chosen from; empty where it is free text. A gold answer is one of them.
        columns: What rewards can read besides, by the source's :attr:`Questions.columns`: for example ``context``,
            ``support``.
        answerable: Whether there is an answer; where there is none, the gold answer says so.
    """

    prompt: str
    answers: tuple[str, ...]
    choices: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    answerable: bool = True


class Questions(ABC):
    """The questions of one split of a source.

    Attributes:
        columns: Names of the columns that each question brings.
        default_reward: What the environment pays where its user names no reward.
        default_answer: How the answer is read from a completion where the user does not say; see
            :mod:`lm_envs.qa.extraction`.
        max_choices: The largest number of choices of a question; 0 where answers are free text.
        generated: Whether a question is made when it is asked for, which may take its time.
    """

    columns: ClassVar[tuple[str, ...]] = ()
    default_reward: ClassVar[Any] = "exact_match"
    default_answer: ClassVar[str] = "text"
    generated: ClassVar[bool] = False
    max_choices: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """Number of questions; a generator that never ends has as many as it has seeds."""

    @abstractmethod
    def __getitem__(self, index: int) -> Question:
        """The question of that number, always the same one."""

    def is_right(self, question: Question, answer: str) -> bool:
        """Whether an answer, as it was read from a completion, is right: a gold answer after SQuAD's normalisation."""
        from lm_envs.rewards.answers import normalize_answer

        given = normalize_answer(answer)
        return any(given == normalize_answer(gold) for gold in question.answers)

    def record(self, question: Question, right: bool) -> None:  # noqa: B027 - doing nothing is the default
        """Be told whether a question was answered rightly, once for each episode that ends; most do not care."""
