"""Questions that become harder when enough answers are right, and easier when too few are."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from lm_envs.errors import ConfigurationError
from lm_envs.qa.questions import Question, Questions

LEVEL = "level"


class CurriculumQuestions(Questions):
    """Several levels of questions, of which one is asked at a time.

    :meth:`record` is told of each answer. When the share of right ones among the last ``window`` answers at a level
    reaches ``raise_at``, the next level begins, and when it falls to ``lower_at``, the one before; the answers are then
    counted anew. Questions of another level that are still being answered, as in the other rows of a vector
    environment, do not count. So the question of a number is the same one only as long as the level is.

    All rows of a vector environment share one curriculum; each of several single environments has its own.

    Args:
        levels: The questions of each level, the easiest first; all of the same kind and as many.
        level: The level to begin with.
        raise_at: The share of right answers from which on a level is too easy, up to 1.
        lower_at: The share up to which it is too hard, less than ``raise_at``; a negative one never lowers the level.
        window: The number of answers that the share is taken from.

    Columns:
        Those of the levels, and ``level``, the question's.

    Attributes:
        level: The current level, from 0.

    Raises:
        ConfigurationError: There is no level, or an argument has an impossible value.

    References:
        Stojanovski et al. 2025, https://arxiv.org/abs/2505.24760
    """

    def __init__(
        self,
        levels: Sequence[Questions],
        level: int = 0,
        raise_at: float = 0.8,
        lower_at: float = 0.2,
        window: int = 100,
    ) -> None:
        if not levels:
            raise ConfigurationError("a curriculum needs at least one level, got none")
        _check_integer("level", level, 0, len(levels) - 1)
        _check_integer("window", window, 1, None)
        if not lower_at < raise_at <= 1:
            raise ConfigurationError(
                "a curriculum's lower_at has to be less than raise_at, which is at most 1, "
                f"got {lower_at!r} and {raise_at!r}"
            )
        self.level = level
        self._levels = tuple(levels)
        self._raise_at, self._lower_at = raise_at, lower_at
        self._recent: deque[bool] = deque(maxlen=window)
        self.columns = (*levels[0].columns, LEVEL)  # type: ignore[misc]  # differs from levels to levels
        self.default_reward = levels[0].default_reward  # type: ignore[misc]
        self.default_answer = levels[0].default_answer  # type: ignore[misc]
        self.generated = levels[0].generated  # type: ignore[misc]
        self.max_choices = max(questions.max_choices for questions in levels)

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self._levels)

    def __len__(self) -> int:
        """Number of questions of each level."""
        return len(self._levels[0])

    def __getitem__(self, index: int) -> Question:
        """The question of that number of the current level."""
        question = self._levels[self.level][index]
        return replace(question, columns={**question.columns, LEVEL: self.level})

    def is_right(self, question: Question, answer: str) -> bool:
        """Whether an answer is right."""
        return self._levels[question.columns[LEVEL]].is_right(question, answer)

    def record(self, question: Question, right: bool) -> None:
        """Tell whether an answer was right; changes the level if it is time to."""
        if question.columns[LEVEL] != self.level:
            return
        self._recent.append(bool(right))
        if len(self._recent) < (self._recent.maxlen or 0):
            return
        share = sum(self._recent) / len(self._recent)
        change = (share >= self._raise_at) - (share <= self._lower_at)
        level = min(max(self.level + change, 0), self.n_levels - 1)
        if level != self.level:
            self.level = level
            self._recent.clear()


def _check_integer(name: str, value: object, low: int, high: int | None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ConfigurationError(f"a curriculum's {name} has to be an integer {limits}, got {value!r}")
