"""An annotator made of a reward, for tests and benchmarks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.feedback.answers import HIGHEST_RATING, LOWEST_RATING, Answer, Item
from agents.feedback.store import FeedbackStore, annotator_name
from lm_envs.errors import ConfigurationError
from lm_envs.rewards.scoring import score_texts

Rewrite = Callable[[str, str], str]
"""A function from prompt and completion to a better completion."""


@dataclass(frozen=True)
class SimulatedAnnotator:
    """Prefers completions by a reward with the noise of the Bradley-Terry model.

    Each completion of an item is worth its reward plus ``temperature`` times a number of the Gumbel distribution with
    mean 0; the one that is worth most is the best. Of two completions ``a`` is then better with the probability
    ``sigmoid((r_a - r_b) / temperature)``, of more each is the best with the softmax of ``r / temperature``. Where all
    are worth the same up to ``tie_margin``, the answer is a tie. The noise depends on ``seed``, ``name``, the item and
    the completion alone: an interrupted annotator goes on with the same answers, in whatever order items come.

    Args:
        reward: Anything that :func:`~lm_envs.rewards.make_reward` takes; it reads prompts and completions alone.
        temperature: The noise, in units of the reward; 0 for none.
        tie_margin: Up to which difference, in units of the reward, completions are equally good.
        seed: Seed of the noise.
        name: The annotator's name.
        rating_range: The rewards that are rated 1 and 5; what lies between is divided evenly, what lies outside is
            rated as the nearer of the two. None: completions are not rated.
        rewrite: Makes the best completion better; the result is the answer's edit, where it differs. None: no edits.

    Raises:
        ConfigurationError: A number is negative or not finite, or ``rating_range`` is empty.
        DataError: The name cannot be one.

    References:
        Bradley and Terry 1952, https://doi.org/10.2307/2334029;
        Luce 1959, Individual Choice Behavior;
        ties by a threshold: Rao and Kupper 1967, https://doi.org/10.2307/2282923
    """

    reward: Any
    temperature: float = 0.1
    tie_margin: float = 0.0
    seed: int = 0
    name: str = "simulated"
    rating_range: tuple[float, float] | None = None
    rewrite: Rewrite | None = None

    def __post_init__(self) -> None:
        """Check the numbers before anything is scored."""
        object.__setattr__(self, "name", annotator_name(self.name))
        for argument in ("temperature", "tie_margin"):
            value = getattr(self, argument)
            if not 0 <= value < math.inf:
                raise ConfigurationError(f"{argument} has to be a finite number of at least 0; got {value!r}.")
        if self.rating_range is not None and not self.rating_range[0] < self.rating_range[1]:
            raise ConfigurationError(f"rating_range has to be a lower and a higher reward; got {self.rating_range}.")

    def answer_store(self, store: FeedbackStore) -> int:
        """Answer all items of a store that are open, after one call of the reward; all of them are written or none.

        Returns:
            How many were answered.
        """
        done = {given.item_id for given in store.current_answers(self.name)}
        items = {item_id: item for item_id, item in store.items().items() if item_id not in done}
        return store.add_answers(self.name, zip(items, self.answers(list(items.values())), strict=True))

    def answers(self, items: Sequence[Item]) -> list[Answer]:
        """What the annotator says about items, after one call of the reward.

        Raises:
            LMEnvsError: See :func:`~lm_envs.rewards.scoring.score_texts`.
        """
        prompts = [item.prompt for item in items for _ in item.completions]
        rewards = score_texts(self.reward, prompts, [text for item in items for text in item.completions])
        ends = np.cumsum([len(item.completions) for item in items])[:-1]
        return [self._answer(item, part) for item, part in zip(items, np.split(rewards, ends), strict=False)]

    def _answer(self, item: Item, rewards: np.ndarray) -> Answer:
        worth = rewards + [self.temperature * self._noise(item, text) for text in item.completions]
        best = int(np.argmax(worth))
        tie = bool(worth.max() - worth.min() <= self.tie_margin)
        edit = None if self.rewrite is None else self.rewrite(item.prompt, item.completions[best])
        edited = edit is not None and bool(edit.strip()) and edit != item.completions[best]
        return Answer(
            best=None if tie else best,
            tie=tie,
            ratings=tuple(map(self._rating, worth.tolist())) if self.rating_range is not None else (),
            edited=best if edited else None,
            edit=edit if edited else None,
        )

    def _rating(self, worth: float) -> int:
        low, high = self.rating_range or (0.0, 1.0)
        share = min(max((worth - low) / (high - low), 0.0), 1.0)
        return LOWEST_RATING + round(share * (HIGHEST_RATING - LOWEST_RATING))

    def _noise(self, item: Item, completion: str) -> float:
        """A number of the Gumbel distribution with mean 0."""
        text = "\0".join((str(self.seed), self.name, item.fingerprint, completion))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        uniform = (int.from_bytes(digest[:6], "big") + 0.5) / 2**48
        return -math.log(-math.log(uniform)) - float(np.euler_gamma)
