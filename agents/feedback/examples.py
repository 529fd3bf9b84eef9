"""What reward models and policies learn from: comparisons, ratings and texts to imitate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lm_envs.errors import DataError


@dataclass(frozen=True)
class Preference:
    """One completion is better than another, or as good.

    Attributes:
        prompt: The prompt's text.
        chosen: The better completion.
        rejected: The other one.
        margin: By how much it is better, in units of the score, at least 0; 0 where nobody knows.
        tie: Both are equally good.

    Raises:
        DataError: Both are the same text, or the margin is no number from 0 on.
    """

    prompt: str
    chosen: str
    rejected: str
    margin: float = 0.0
    tie: bool = False

    def __post_init__(self) -> None:
        """Check that there is a difference."""
        if self.chosen == self.rejected:
            raise DataError(
                f"chosen and rejected are the same text, {self.chosen!r:.80}, for the prompt {self.prompt!r:.80}: a "
                "comparison needs two. Leave such pairs out."
            )
        if not 0 <= self.margin < math.inf:
            raise DataError(f"a margin is at least 0; got {self.margin!r}. Swap chosen and rejected.")


@dataclass(frozen=True)
class Rating:
    """How good a completion is.

    Attributes:
        prompt: The prompt's text.
        completion: The completion.
        score: From 0 to 1: ratings from 1 to 5 divided evenly, or a label of true or false.

    Raises:
        DataError: The score is no number from 0 to 1.
    """

    prompt: str
    completion: str
    score: float

    def __post_init__(self) -> None:
        """Check the scale."""
        if not 0 <= self.score <= 1:
            raise DataError(
                f"a score is a number from 0 to 1; got {self.score!r}. A rating r from 1 to 5 is (r - 1) / 4."
            )


@dataclass(frozen=True)
class Demonstration:
    """A text to imitate: a reference, or an edit.

    Attributes:
        prompt: The prompt's text.
        completion: How it should go on.
    """

    prompt: str
    completion: str


@dataclass(frozen=True)
class Feedback:
    """Everything that can be learned from.

    Attributes:
        preferences: Comparisons.
        ratings: Ratings.
        demonstrations: Texts to imitate.
    """

    preferences: list[Preference] = field(default_factory=list)
    ratings: list[Rating] = field(default_factory=list)
    demonstrations: list[Demonstration] = field(default_factory=list)

    def __len__(self) -> int:
        """How many in all."""
        return len(self.preferences) + len(self.ratings) + len(self.demonstrations)
