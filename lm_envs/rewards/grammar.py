"""Is the text well-formed English of the small world?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register


@register("grammar")
@dataclass(frozen=True)
class Grammar:
    """1 if prompt and completion are a well-formed review of the small world, else 0.

    ``lm_envs.world.check_review`` decides. A last sentence that the token budget cuts off is accepted;
    an empty completion and None score 0.
    """

    __name__ = "grammar"

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """1.0 or 0.0 for each completion."""
        from lm_envs.world import check_review

        return [
            float(bool(text and text.strip()) and check_review(prompt, text or "").ok)
            for prompt, text in zip(prompts, completions, strict=True)
        ]
