"""Comparisons and ratings as numbers: which text is compared with which, and how likely it is the better one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.feedback.examples import Feedback
from lm_envs.errors import ConfigurationError, DataError

NO_TEXT = -1

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Texts, and which is better; a rating compares a text with an imagined one of average quality.

    Attributes:
        texts: Different pairs of a prompt and a completion.
        first: Index of the better, or of the rated text, ``(n,)`` int64.
        second: Index of the other text, ``(n,)`` int64; :data:`NO_TEXT` for ratings.
        margin: By how much the first one's score is to be higher, ``(n,)`` float32.
        target: Probability that the first one is better, ``(n,)`` float32: 1, for a tie 0.5, or the rating.
    """

    texts: list[tuple[str, str]]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    margin: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """How many comparisons and ratings."""
        return len(self.first)

    def prompts_of(self, rows: Rows) -> list[str]:
        """The prompts of some of them."""
        return [self.texts[i][0] for i in self.first[rows]]

    @property
    def is_rating(self) -> npt.NDArray[np.bool_]:
        """Which are ratings, ``(n,)``."""
        return self.second == NO_TEXT

    @property
    def is_decided(self) -> npt.NDArray[np.bool_]:
        """Which are comparisons with a better text, ``(n,)``."""
        return ~self.is_rating & (self.target == 1.0)


def compile_comparisons(feedback: Feedback) -> Comparisons:
    """Number the texts of comparisons and ratings; demonstrations, which compare nothing, are left out.

    Args:
        feedback: What people said.

    Raises:
        DataError: There is neither a comparison nor a rating.
    """
    numbers: dict[tuple[str, str], int] = {}

    def number(prompt: str, completion: str) -> int:
        return numbers.setdefault((prompt, completion), len(numbers))

    rows: list[tuple[int, int, float, float]] = []
    for pair in feedback.preferences:
        chosen, rejected = number(pair.prompt, pair.chosen), number(pair.prompt, pair.rejected)
        rows.append((chosen, rejected, 0.0, 0.5) if pair.tie else (chosen, rejected, pair.margin, 1.0))
    for rating in feedback.ratings:
        rows.append((number(rating.prompt, rating.completion), NO_TEXT, 0.0, rating.score))
    if not rows:
        raise DataError(
            "expected comparisons or ratings to train a reward model on, got "
            + (f"{len(feedback.demonstrations)} demonstrations only. " if feedback.demonstrations else "none. ")
            + "Collect some (lm-envs label), or pass a file with prompt, chosen, rejected or prompt, completion, label."
        )
    first, second, margin, target = zip(*rows, strict=True)
    return Comparisons(
        list(numbers),
        np.array(first, dtype=np.int64),
        np.array(second, dtype=np.int64),
        np.array(margin, dtype=np.float32),
        np.array(target, dtype=np.float32),
    )


def split_by_prompt(data: Comparisons, share: float, seed: int) -> tuple[Rows, Rows]:
    """Divide comparisons and ratings in two so that no prompt is on both sides.

    The hash of the prompt decides, so a prompt stays on its side when more feedback comes; where that leaves a side
    empty, the prompt with the lowest (or highest) hash goes there.

    Args:
        data: Comparisons and ratings.
        share: Expected share of the prompts on the second side, from 0 to below 1.
        seed: Another seed divides otherwise.

    Returns:
        Indices of those to train on, and of those to validate on (none if ``share`` is 0).

    Raises:
        ConfigurationError: ``share`` is not from 0 to below 1.
        DataError: There is one prompt only, and ``share`` is above 0.
    """
    if isinstance(share, bool) or not 0 <= share < 1:
        raise ConfigurationError(f"the share for validation has to be from 0 to below 1, got {share!r}.")
    prompts = data.prompts_of(np.arange(len(data)))
    ranks = {prompt: _hash(prompt, seed) for prompt in prompts}
    if share > 0 and len(ranks) < 2:
        raise DataError(
            f"expected at least two prompts, one of them for validation, got {len(ranks)}. Collect more, or train "
            "without validation (validation=0, --validation 0)."
        )
    by_rank = sorted(ranks, key=ranks.__getitem__)
    held_out = {prompt for prompt in by_rank[:-1] if ranks[prompt] < share} or set(by_rank[: share > 0])
    is_held_out = np.array([prompt in held_out for prompt in prompts])
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _hash(prompt: str, seed: int) -> float:
    """A number from 0 to 1 that depends on nothing but the prompt and the seed."""
    digest = hashlib.sha256(f"{seed}\0{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
