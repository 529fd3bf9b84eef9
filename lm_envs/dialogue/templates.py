"""Dialogue acts as text, by the templates that come with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lm_envs.dialogue.partners import Acts
from lm_envs.token_state import IntArray


class TemplatePhrasing:
    """Lets the acts phrase themselves.

    Args:
        acts: The dialogue acts.
    """

    def __init__(self, acts: Acts) -> None:
        self.acts = acts

    def phrase(
        self,
        rows: Sequence[int],
        acts: Sequence[int],
        token_ids: Sequence[IntArray],
        rngs: Sequence[np.random.Generator],
    ) -> list[str]:
        """A turn for each row.

        Args:
            rows: Whose.
            acts: The act of each.
            token_ids: The conversation of each so far; templates do not need it.
            rngs: The random numbers of each.
        """
        return [self.acts.phrase(row, act, rng) for row, act, rng in zip(rows, acts, rngs, strict=True)]
