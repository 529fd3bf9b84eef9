"""The model card, with the numbers measured when the model was saved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lm_envs.pretraining.evaluation import REFERENCE_DOMAINS, perplexities, sample_report, share_right
from lm_envs.pretraining.training import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CARD = """---
license: mit
language: [en, es]
library_name: transformers
pipeline_tag: text-generation
tags: [reinforcement-learning, toy-model]
---

# tiny

A Llama with {parameters:,} parameters that writes simple English about a small world: product reviews, help-desk
dialogues, and little passages with questions or a headline; one or two sentences of them it translates into Spanish.
Like larger models it knows several ways to say a thing: answers are a word or a sentence, headlines long or brief,
Spanish that of Spain or of America. It is made for trying out reinforcement learning on language models in seconds on a
laptop; outside its world it knows nothing.

## Data

All text comes from a seeded generator, `lm_envs.world`, a context-free grammar over about 1,200 word forms. No
text written by people was used. Documents end with `<|endoftext|>` and have no token before them. The prompts of the
validation and test splits do not occur in the training text.

## Architecture

LlamaForCausalLM, float32: {layers} layers, width {width}, {heads} heads sharing one key and value head, feed-forward
width {mlp}, vocabulary {vocabulary:,} (byte-level BPE, words of the world are single tokens), tied embeddings.

## Training

{steps:,} steps of {tokens:,} tokens each, padding included, in {cycles} cycles of {cycle_steps} steps, each with
a warmup and a cosine decay; {minutes:.0f} minutes on one shared CPU core. Muon trains the matrices (peak learning
rate {matrix_rate}), AdamW embeddings and gains (peak {embedding_rate}). At the end the gain of the last norm
is multiplied by {sharpness}, so that sampling at temperature 1.0 gives what the model gave at {temperature:.2f} before.
Reproduce with

    python -m lm_envs.pretraining --steps {steps} --seed {seed}

## Measurements

Perplexity per token on held-out text of the test split (200 documents per domain):

| domain | perplexity | loss (nats) |
|---|---|---|
{rows}

Completions of the first 256 test review prompts, temperature 1.0, 32 new tokens:

| measure | value |
|---|---|
| well-formed by `lm_envs.world.check_review`, which judges form and not sense | {grammatical:.1%} |
| ended with `<|endoftext|>` within 32 tokens | {ended:.1%} |
| distinct sentences | {distinct:.1%} |
| mean VADER sentiment, (compound + 1) / 2 | {sentiment:.3f} |

Completions of 200 test prompts of other domains, temperature 1.0, equal to the reference letter for letter (a word, a
long headline, the Spanish of Spain):

| domain | right |
|---|---|
{right}
"""


def model_card(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: TrainingConfig, minutes: float
) -> str:
    """Measure the model and write its card."""
    import math

    measured = perplexities(model, tokenizer)
    samples = sample_report(model, tokenizer)
    return _CARD.format(
        parameters=model.num_parameters(),
        layers=model.config.num_hidden_layers,
        width=model.config.hidden_size,
        heads=model.config.num_attention_heads,
        mlp=model.config.intermediate_size,
        vocabulary=model.config.vocab_size,
        steps=config.steps,
        tokens=config.tokens_per_batch,
        cycles=len(config.cycles),
        cycle_steps=_listed([f"{cycle.steps:,}" for cycle in config.cycles]),
        matrix_rate=config.matrix_rate,
        embedding_rate=config.embedding_rate,
        seed=config.seed,
        sharpness=config.sharpness,
        temperature=1 / config.sharpness,
        minutes=minutes,
        rows="\n".join(f"| {d} | {p:.3f} | {math.log(p):.3f} |" for d, p in measured.items()),
        grammatical=samples.grammatical,
        ended=samples.ended,
        distinct=samples.distinct_sentences,
        sentiment=samples.sentiment,
        right="\n".join(f"| {d} | {share_right(model, tokenizer, d):.1%} |" for d in REFERENCE_DOMAINS),
    )


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def perplexity_in_card(card: str, domain: str = "overall") -> float:
    """The perplexity of a domain that a model card states.

    Raises:
        ValueError: The card has no line for the domain.
    """
    found = re.search(rf"^\| {re.escape(domain)} \| ([\d.]+) \|", card, re.MULTILINE)
    if not found:
        raise ValueError(f"expected a line for {domain!r} in the model card's table of perplexities")
    return float(found.group(1))
