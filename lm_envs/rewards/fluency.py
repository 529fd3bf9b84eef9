"""How likely a language model finds the text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_choice, require_positive_integer

DEFAULT_MODEL = "tiny"
LOGITS_AT_ONCE = 2**25  # numbers in a batch's logits: 128 MB in float32


@register("fluency")
@dataclass(frozen=True)
class Fluency:
    """Mean log-probability of the completion's tokens, given the prompt, under a frozen language model.

    With ``m`` the mean log-probability of a token in nats and ``V`` the size of the vocabulary, the scales
    are

    - ``"normalized"``: ``max(0, 1 + m / log V)``. Range 0 (no better than drawing tokens blindly) to 1.
    - ``"probability"``: ``exp(m)``, the inverse perplexity. Range 0 to 1.
    - ``"raw"``: ``max(floor, m)``. Range ``floor`` to 0.

    Empty completions and None score the minimum. The columns ``prompt_ids`` and ``completion_ids`` are used
    where they are the model's own tokens, that is, where they decode to the completion; they include the
    end-of-text token, if the episode ended with it. Otherwise the text is tokenized. A prompt that does not
    fit into the model's context loses its beginning.

    Args:
        model: The frozen language model: an alias, a Hugging Face id, or a local folder. None: the
            environment's model, and ``"tiny"`` outside of an environment.
        scale: ``"normalized"``, ``"probability"`` or ``"raw"``.
        floor: The minimum of the scale ``"raw"``, in nats a token.
        batch_size: Most texts in one forward pass; fewer where their logits would not fit into memory.
        device: Where the model computes. None: where the environment's does, else on the CPU.
        dtype: What it computes in.
    """

    __name__ = "fluency"
    model: str | None = None
    scale: str = "normalized"
    floor: float = -20.0
    batch_size: int = 32
    device: str | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Check the scale and the batch size."""
        require_choice("fluency", "scale", self.scale, ("normalized", "probability", "raw"))
        require_positive_integer("fluency", "batch_size", self.batch_size)

    def __call__(
        self,
        prompts: Sequence[str],
        completions: Texts,
        prompt_ids: Sequence[Sequence[int]] | None = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> list[float]:
        """Score each completion.

        Raises:
            ModelError: The model cannot be loaded.
        """
        tokenizer, language_model = self._load()
        vocab_size = int(language_model.config.get_text_config().vocab_size)
        given = [None] * len(prompts)
        texts = zip(prompts, completions, prompt_ids or given, completion_ids or given, strict=True)
        pairs = [_token_pair(tokenizer, vocab_size, *text) for text in texts]
        means = mean_log_probs(language_model, pairs, self.batch_size)
        return [self._rescale(mean, vocab_size) for mean in means]

    def for_environment(self, model: str, device: str) -> Fluency:
        """This reward with the environment's model and device where it left them open."""
        return dataclasses.replace(self, model=self.model or model, device=self.device or device)

    def _load(self) -> tuple[Any, Any]:
        """The tokenizer and the language model."""
        from lm_envs.models import load_language_model, load_tokenizer

        name = self.model or DEFAULT_MODEL
        language_model = load_language_model(name, device=self.device or "cpu", dtype=self.dtype)
        object.__setattr__(self, "_held", language_model)  # it is shared as long as somebody holds it
        return load_tokenizer(name), language_model

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the parameters, not the weights."""
        return {key: value for key, value in vars(self).items() if key != "_held"}

    def _rescale(self, mean: float, vocab_size: int) -> float:
        if self.scale == "normalized":
            return max(0.0, 1 + mean / math.log(vocab_size))
        return math.exp(mean) if self.scale == "probability" else max(float(self.floor), mean)


def _token_pair(
    tokenizer: Any, vocab_size: int, prompt: str, completion: str | None, prompt_ids: Any, completion_ids: Any
) -> tuple[list[int], list[int]]:
    """The tokens of the prompt and of the completion, the latter without any if the text is blank."""
    if not completion or not completion.strip():
        return [], []
    given = [] if completion_ids is None else [int(token) for token in completion_ids]
    are_own = bool(given) and max(given) < vocab_size and _decode(tokenizer, given) == completion.strip()
    if not are_own:
        given = list(tokenizer(completion, add_special_tokens=False)["input_ids"])
    if are_own and prompt_ids is not None:
        before = [int(token) for token in prompt_ids]
    else:
        before = list(tokenizer(prompt)["input_ids"]) if prompt else []
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return before or ([] if start is None else [start]), given


def _decode(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True)).strip()


def mean_log_probs(model: Any, pairs: Sequence[tuple[list[int], list[int]]], batch_size: int) -> list[float]:
    """The mean log-probability of the second tokens of each pair after the first, in batches.

    Args:
        model: A causal language model.
        pairs: Tokens before and tokens to score. Where nothing comes before, the first is not scored.
        batch_size: Most pairs in one forward pass.

    Returns:
        One number for each pair; minus infinity where there is no token to score.
    """
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**31
    rows = [(before + after)[-context:] for before, after in pairs]
    scored = [min(len(after), len(row) - 1) for (_, after), row in zip(pairs, rows, strict=True)]
    means = [-math.inf] * len(rows)
    todo = sorted((i for i, n in enumerate(scored) if n > 0), key=lambda i: len(rows[i]))
    vocab_size = int(model.config.get_text_config().vocab_size)
    while todo:
        fitting = max(1, LOGITS_AT_ONCE // (vocab_size * len(rows[todo[-1]])))
        size = min(batch_size, fitting)
        batch, todo = todo[-size:], todo[:-size]  # the longest first: too little memory shows at once
        for i, log_probs in zip(batch, _token_log_probs(model, [rows[i] for i in batch]), strict=True):
            means[i] = float(log_probs[len(rows[i]) - 1 - scored[i] : len(rows[i]) - 1].mean())
    return means


def _token_log_probs(model: Any, rows: list[list[int]]) -> Any:
    """Log-probabilities of each row's tokens from the second on, ``(n_rows, longest - 1)`` float32."""
    import torch

    width = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        chosen = logits.gather(2, ids[:, 1:, None]).squeeze(2)
        return (chosen - torch.logsumexp(logits, dim=2)).cpu()
