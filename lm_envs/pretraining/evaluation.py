"""Measuring the model: perplexity on held-out text, and whether its own reviews are well-formed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from lm_envs.pretraining.batches import encode, pad_rows
from lm_envs.pretraining.training import token_losses
from lm_envs.world import check_review, passage_items, review_prompts, spanish
from lm_envs.world.corpus import DOMAINS, document
from lm_envs.world.headlines import headline_items

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HELD_OUT_PER_DOMAIN = 200
HELD_OUT_SEED = 20_000


def held_out(domain: str) -> list[str]:
    """The fixed texts of the test split that perplexity is measured on."""
    rng = np.random.default_rng([HELD_OUT_SEED, DOMAINS.index(domain)])
    return [document(domain, rng, "test") for _ in range(HELD_OUT_PER_DOMAIN)]


def domain_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, domain: str) -> tuple[float, int]:
    """Mean loss per token in nats on the held-out text of a domain, and the number of tokens."""
    import torch

    rows = sorted(encode(tokenizer, held_out(domain)), key=len)
    losses = []
    with torch.no_grad():
        for start in range(0, len(rows), 50):
            losses.append(token_losses(model, *pad_rows(rows[start : start + 50], tokenizer.pad_token_id)))
    together = torch.cat(losses).double()
    return together.mean().item(), together.numel()


def perplexities(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """Perplexity per token for each domain and, under ``"overall"``, for all held-out text together."""
    measured = {domain: domain_loss(model, tokenizer, domain) for domain in DOMAINS}
    tokens = sum(n for _, n in measured.values())
    overall = sum(loss * n for loss, n in measured.values()) / tokens
    return {**{d: math.exp(loss) for d, (loss, _) in measured.items()}, "overall": math.exp(overall)}


@dataclass(frozen=True)
class SampleReport:
    """What was measured on sampled reviews: shares between 0 and 1, and the failed texts."""

    grammatical: float
    ended: float
    distinct_sentences: float
    sentiment: float
    failures: tuple[str, ...]
    completions: tuple[tuple[str, str], ...]


def sample_report(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    n_prompts: int = 256,
    new_tokens: int = 32,
    seed: int = 0,
) -> SampleReport:
    """Complete test prompts at temperature 1 and check the results.

    Sentiment is VADER's compound score (Hutto and Gilbert, 2014) of the completion, mapped to 0..1.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    prompts = review_prompts("test")[:n_prompts]
    completed = [sample(model, tokenizer, prompt, new_tokens, seed + i) for i, prompt in enumerate(prompts)]
    texts = [text for text, _ in completed]
    reports = [check_review(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    sentences = [s for text in texts for s in text.split(". ")]
    analyzer = SentimentIntensityAnalyzer()
    return SampleReport(
        grammatical=fmean(report.ok for report in reports),
        ended=fmean(ended for _, ended in completed),
        distinct_sentences=len(set(sentences)) / len(sentences),
        sentiment=fmean((analyzer.polarity_scores(text)["compound"] + 1) / 2 for text in texts),
        failures=tuple(report.reason for report in reports if not report.ok),
        completions=tuple(zip(prompts, texts, strict=True)),
    )


def references(domain: str) -> list[tuple[str, str]]:
    """Prompts of the test split of a domain whose texts have one right ending, and what should follow."""
    if domain == "passages":
        return [(item.prompt, f" {item.question.answer}.") for item in passage_items("test")]
    if domain == "headlines":
        return [(item.prompt, f" {item.text}") for item in headline_items("test")]
    rng = np.random.default_rng(HELD_OUT_SEED)
    items = [spanish.generate(rng, "test") for _ in range(HELD_OUT_PER_DOMAIN)]
    return [(item.prompt, f" {item.spanish}") for item in items]


REFERENCE_DOMAINS = ("passages", "headlines", "translations")


def share_right(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    domain: str,
    n_prompts: int = 200,
    new_tokens: int = 48,
    seed: int = 0,
) -> float:
    """How many completions at temperature 1 are the reference, letter for letter: 0..1.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        domain: One of :data:`REFERENCE_DOMAINS`.
        n_prompts: How many prompts of the test split.
        new_tokens: Most tokens of a completion.
        seed: Seed of the sampling.
    """
    import torch

    items = references(domain)[:n_prompts]
    prompts = tokenizer([prompt for prompt, _ in items], return_tensors="pt", padding=True, padding_side="left")
    torch.manual_seed(seed)
    settings = {"do_sample": True, "top_k": 0, "temperature": 1.0, "max_new_tokens": new_tokens}
    with torch.no_grad():
        output = model.generate(**prompts, **settings)  # type: ignore[operator]
    texts = tokenizer.batch_decode(output[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
    return fmean(text == right for text, (_, right) in zip(texts, items, strict=True))


def sample(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, new_tokens: int, seed: int
) -> tuple[str, bool]:
    """Continue a prompt at temperature 1; returns the text and whether it ended before the budget."""
    import torch

    torch.manual_seed(seed)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
    settings = {"do_sample": True, "top_k": 0, "temperature": 1.0, "max_new_tokens": new_tokens}
    with torch.no_grad():
        output = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)  # type: ignore[operator]
    new = output[0, ids.shape[1] :].tolist()
    return str(tokenizer.decode(new, skip_special_tokens=True)), tokenizer.eos_token_id in new
