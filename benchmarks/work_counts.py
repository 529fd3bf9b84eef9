"""Floating-point operations and bytes of a workload, counted from the model's configuration.

A multiplication with an addition is two operations; norms, activations, rotary embeddings and softmax are left out, as
they are few. Bytes are those that have to move at least once: a matrix product reads its weights and its input and
writes its output, attention reads queries, keys and values and writes its result, an optimizer step reads and writes
what Adam keeps. Numbers that stay in a processor's cache between two uses make it less; separate passes over memory for
each elementwise operation make it more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from agents.callbacks.reference_kl import PASS_TOKENS
from benchmarks.workload import Workload
from lm_envs.errors import ConfigurationError

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ITEM_BYTES = {"float32": 4, "bfloat16": 2}
ADAM_BYTES = 28  # of a weight: read it, its gradient and two moments; write it and the moments, in float32


@dataclass(frozen=True)
class Work:
    """What a phase has to do.

    Attributes:
        flops: Floating-point operations.
        bytes: Bytes between processor and memory.
    """

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, factor: float) -> Work:
        return Work(self.flops * factor, self.bytes * factor)

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.flops / self.bytes


class WorkCounts:
    """Counts the work of a language model with gated feed-forward layers.

    Args:
        config: The model's configuration.
        item_bytes: Bytes of a number.

    Raises:
        ConfigurationError: A family of models that is not counted here.
    """

    def __init__(self, config: Any, item_bytes: int = 4) -> None:
        if config.model_type not in FAMILIES:
            raise ConfigurationError(
                f"operations are counted for {', '.join(FAMILIES)}; got a model of the family {config.model_type!r}."
            )
        self.item_bytes = item_bytes
        self.layers = config.num_hidden_layers
        hidden, inner = config.hidden_size, config.intermediate_size
        head = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
        self.queries, self.keys = config.num_attention_heads * head, config.num_key_value_heads * head
        self.shapes = [
            (hidden, self.queries), (hidden, self.keys), (hidden, self.keys), (self.queries, hidden),
            (hidden, inner), (hidden, inner), (inner, hidden),
        ]  # fmt: skip
        self.output_shape = (hidden, config.vocab_size)

    def rollout(self, workload: Workload) -> Work:
        """All prompts in one pass, then a step of all environments for each token but the first."""
        n, prompt, new = workload.n_envs, workload.prompt_tokens, workload.new_tokens
        steps = Work(0, 0)
        for context in range(prompt + 1, prompt + new):
            steps += self.decode_step(n, context)
        return self.sequences(n, prompt, outputs=1) + steps

    def scoring(self, workload: Workload) -> Work:
        """The reference reads all sequences, in passes."""
        length = workload.prompt_tokens + workload.new_tokens
        pass_tokens = PASS_TOKENS["cuda" if workload.device.startswith("cuda") else "cpu"]
        passes = math.ceil(workload.n_envs * length / pass_tokens)
        return self.sequences(workload.n_envs / passes, length, workload.new_tokens) * passes

    def update(self, workload: Workload) -> Work:
        """One epoch: each minibatch forward and backward, which is twice as much, and a step of Adam."""
        length = workload.prompt_tokens + workload.new_tokens
        forward = self.sequences(workload.minibatch, length, workload.new_tokens)
        optimizer = Work(0, self.weights * ADAM_BYTES)
        return (forward * 3 + optimizer) * (workload.n_envs / workload.minibatch)

    def decode_step(self, n: float, context: int) -> Work:
        """One token of each of ``n`` sequences, which then has ``context`` tokens."""
        attention = self._attention(n * context, n, n * context)
        return self._products(n, n) + attention

    def sequences(self, n: float, length: int, outputs: int, causal: bool = True) -> Work:
        """A pass over ``n`` sequences.

        Args:
            n: How many.
            length: Tokens of each.
            outputs: Tokens of each that logits are wanted for.
            causal: Whether scores of later tokens are left out, as fused attention does.
        """
        pairs = length * (length + 1) / 2 if causal else length**2
        return self._products(n * length, n * outputs) + self._attention(n * pairs, n * length, n * length)

    @property
    def weights(self) -> int:
        """Weights in matrices, tied ones once."""
        return self.layers * sum(i * o for i, o in self.shapes) + math.prod(self.output_shape)

    def _products(self, tokens: float, outputs: float) -> Work:
        """Matrix products with weights."""
        layers = self.layers * sum(i * o for i, o in self.shapes)
        moved = self.layers * sum(i + o for i, o in self.shapes) * tokens + sum(self.output_shape) * outputs
        flops = 2 * (layers * tokens + math.prod(self.output_shape) * outputs)
        return Work(flops, (self.weights + moved) * self.item_bytes)

    def _attention(self, pairs: float, queries: float, keys: float) -> Work:
        """Scores and sums of all heads.

        Args:
            pairs: Of a query token and a token that it sees.
            queries: Query tokens.
            keys: Tokens whose keys and values are read.
        """
        moved = 2 * self.queries * queries + 2 * self.keys * keys
        return Work(self.layers * 4 * self.queries * pairs, self.layers * moved * self.item_bytes)
