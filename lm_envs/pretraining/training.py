"""The training run of ``tiny``: AdamW (Loshchilov and Hutter, 2019) with a warmup and a cosine schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lm_envs.pretraining.batches import IGNORED, batches

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training run.

    Attributes:
        steps: Number of optimizer steps.
        seed: Seed of the weights and of the text.
        tokens_per_batch: Tokens in a batch, padding included.
        learning_rate: Peak of the learning rate.
        warmup: Steps until the peak.
        weight_decay: Weight decay of the matrices.
    """

    steps: int = 1500
    seed: int = 0
    tokens_per_batch: int = 6144
    learning_rate: float = 5e-3
    warmup: int = 60
    weight_decay: float = 0.05


def new_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> LlamaForCausalLM:
    """A Llama (Touvron et al., 2023) with about one million random float32 parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def token_losses(model: torch.nn.Module, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of every token that is not ignored, in nats: float32 of shape (n_tokens,)."""
    from torch.nn.functional import cross_entropy

    logits = model(input_ids=input_ids).logits[:, :-1]
    losses = cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="none")
    return losses[labels[:, 1:].flatten() != IGNORED]


def train(tokenizer: PreTrainedTokenizerBase, config: TrainingConfig) -> LlamaForCausalLM:
    """Train a new model on text of the world."""
    import torch
    from tqdm import tqdm

    model = new_model(tokenizer, config.seed)
    optimizer = _optimizer(model, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, config))
    stream = batches(tokenizer, np.random.default_rng([config.seed, 2]), config.tokens_per_batch)
    progress = tqdm(range(config.steps), unit="step", mininterval=5)
    for _ in progress:
        loss = token_losses(model, *next(stream)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return model.eval()


def _optimizer(model: torch.nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW that decays matrices, and neither gains nor embeddings."""
    import torch

    decayed = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def _rate(step: int, config: TrainingConfig) -> float:
    """Share of the peak learning rate: linear warmup, then half a cosine down to 2%."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
