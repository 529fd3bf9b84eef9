"""Prompts and completions as a reward model reads them, and the scores that it gives them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ModelError
from lm_envs.models.reward_model import ScoreForm

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class EncodedText:
    """A prompt with its completion, in tokens.

    Attributes:
        input_ids: ``n_tokens`` token ids, special tokens included.
        token_type_ids: For each token whether it belongs to the first or the second sentence; None where the model
            does not ask.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None = None

    def __len__(self) -> int:
        """How many tokens."""
        return len(self.input_ids)


class TextEncoder:
    """Turns prompts and completions into a reward model's tokens.

    A text that does not fit loses the beginning of its prompt, never a part of its completion.

    Args:
        model: The reward model.
        tokenizer: Its tokenizer.

    Attributes:
        form: How the model reads prompts and completions.
        max_tokens: The most tokens that fit.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.form = ScoreForm.of(model.config)
        self.max_tokens = context_length(model.config, tokenizer)
        self._tokenizer = tokenizer
        takes_types = "token_type_ids" in inspect.signature(model.forward).parameters
        self._with_types = self.form.reads == "pair" and takes_types
        self._name = str(getattr(model.config, "name_or_path", "") or model.config.model_type)

    def __call__(self, prompts: Sequence[str], completions: Sequence[str | None]) -> list[EncodedText]:
        """Encode ``n`` prompts with their completions; None is an empty completion.

        Raises:
            ModelError: A completion alone does not fit.
        """
        if not prompts:
            return []
        texts = [(prompt, completion or "") for prompt, completion in zip(prompts, completions, strict=True)]
        found = self._encode(texts)
        return [
            row if len(row) <= self.max_tokens else self._cut(*text) for text, row in zip(texts, found, strict=True)
        ]

    def _encode(self, texts: Sequence[tuple[str, str]]) -> list[EncodedText]:
        if self.form.reads == "joined":
            rows = self._tokenizer([prompt + completion for prompt, completion in texts])
        else:
            rows = self._tokenizer([prompt for prompt, _ in texts], [completion for _, completion in texts])
        types: Any = rows.get("token_type_ids") if self._with_types else None
        ids = [row or self._nothing() for row in rows["input_ids"]]
        return [EncodedText(row, None if types is None else types[i]) for i, row in enumerate(ids)]

    def _cut(self, prompt: str, completion: str) -> EncodedText:
        """Leave out the beginning of the prompt, a character for each token that is too many, until it fits."""
        row = self._encode([(prompt, completion)])[0]
        while (excess := len(row) - self.max_tokens) > 0:
            if not prompt:
                raise ModelError(
                    f"a completion has {len(row)} tokens and the reward model {self._name!r} reads at most "
                    f"{self.max_tokens}: {completion!r:.80}. Generate shorter texts (max_new_tokens), or train a "
                    "reward model on a body with a longer context"
                )
            prompt = prompt[excess:]
            row = self._encode([(prompt, completion)])[0]
        return row

    def _nothing(self) -> list[int]:
        """What stands for a text without any token."""
        end = self._tokenizer.eos_token_id
        return [0 if end is None else end]


def context_length(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that a model and its tokenizer allow; a large number where neither has a limit."""
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or 2**31
    return min(int(positions), int(min(tokenizer.model_max_length, 2**31)))


def outputs_of(model: PreTrainedModel, rows: Sequence[EncodedText]) -> torch.Tensor:
    """The outputs ``(n, n_outputs)`` for texts in one forward pass, on the model's device, differentiable.

    Args:
        model: The reward model, with one output.
        rows: ``n`` texts, at least one.
    """
    import torch

    width, pad = max(map(len, rows)), model.config.get_text_config().pad_token_id

    def tensor(columns: Sequence[Sequence[int]], filling: int) -> torch.Tensor:
        return torch.tensor([[*row, *[filling] * (width - len(row))] for row in columns], device=model.device)

    inputs = {
        "input_ids": tensor([row.input_ids for row in rows], pad),
        "attention_mask": tensor([[1] * len(row) for row in rows], 0),
    }
    types = [row.token_type_ids for row in rows if row.token_type_ids is not None]
    if types:
        inputs["token_type_ids"] = tensor(types, 0)
    return model(**inputs).logits


def all_outputs(model: PreTrainedModel, rows: Sequence[EncodedText], batch_size: int) -> torch.Tensor:
    """The outputs ``(n, n_outputs)`` float32 on the CPU, without gradients; texts of similar length share a batch.

    Args:
        model: The reward model, in evaluation mode.
        rows: ``n`` texts, at least one.
        batch_size: Most texts in one forward pass.
    """
    import torch

    by_length = sorted(range(len(rows)), key=lambda i: -len(rows[i]))  # the longest first: too little memory shows
    batches = [by_length[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    with torch.no_grad():
        outputs = [outputs_of(model, [rows[i] for i in batch]).float().cpu() for batch in batches]
    return torch.cat(outputs)[torch.tensor(by_length).argsort()]
