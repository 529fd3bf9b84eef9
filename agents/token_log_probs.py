"""Log-probability and entropy of token actions, without ever holding all logits.

The log-softmax over a 50k vocabulary is the memory peak of an update. :func:`token_log_probs` walks over the positions
in chunks, keeps one number per position for the backward pass and computes each chunk's logits again there: peak
memory falls from several times ``n * vocab_size`` floats to one chunk, for a third more work in the output layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch as th

CHUNK_ELEMENTS = 2**23  # logits held at once: 32 MiB in float32


@dataclass(frozen=True)
class OutputLayer:
    """A language model's last linear layer and what its family does to the logits after it.

    Attributes:
        weight: ``(vocab_size, hidden_size)``.
        bias: ``(vocab_size,)`` or None.
        scale: Factor on the logits (Cohere, Granite), divided by the sampling temperature.
        softcap: Bound on the unscaled logits, ``softcap * tanh(logits / softcap)`` (Gemma 2), or None.
    """

    weight: th.Tensor
    bias: th.Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden: th.Tensor) -> th.Tensor:
        """Float32 logits ``(n, vocab_size)`` of hidden states ``(n, hidden_size)``."""
        logits = th.nn.functional.linear(hidden, self.weight, self.bias).float()
        if self.softcap is not None:
            logits = (logits / self.softcap).tanh() * self.softcap
        return logits if self.scale == 1.0 else logits * self.scale


def token_log_probs(layer: OutputLayer, hidden: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Log-probabilities of the actions and entropies of the distributions, differentiable, in chunks.

    Args:
        layer: The output layer; gradients reach its weight and bias where they require them.
        hidden: ``(n, hidden_size)`` hidden states, any floating dtype.
        actions: ``(n,)`` int64 token ids.

    Returns:
        Two float32 tensors ``(n,)``: log-probability in nats, entropy in nats.
    """
    return _TokenLogProbs.apply(hidden, layer.weight, layer.bias, actions, layer)


class _TokenLogProbs(th.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: th.Tensor,
        weight: th.Tensor,
        bias: th.Tensor | None,
        actions: th.Tensor,
        layer: OutputLayer,
    ) -> tuple[th.Tensor, th.Tensor]:
        log_prob = hidden.new_empty(hidden.shape[0], dtype=th.float32)
        entropy, log_normaliser = th.empty_like(log_prob), th.empty_like(log_prob)
        for part in _chunks(hidden.shape[0], weight.shape[0]):
            logits = layer.logits(hidden[part])
            chosen = logits.gather(1, actions[part, None]).squeeze(1)
            top = logits.amax(dim=1, keepdim=True)
            weights = (logits - top).exp_()
            total = weights.sum(dim=1)
            log_normaliser[part] = total.log() + top.squeeze(1)
            log_prob[part] = chosen - log_normaliser[part]
            entropy[part] = log_normaliser[part] - weights.mul_(logits).sum(dim=1) / total
        ctx.save_for_backward(hidden, weight, bias, actions, log_normaliser, entropy)
        ctx.layer = layer
        return log_prob, entropy

    @staticmethod
    def backward(ctx: Any, *grads: th.Tensor) -> tuple[th.Tensor | None, ...]:
        hidden, weight, bias, actions, log_normaliser, entropy = ctx.saved_tensors
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        hidden_grad = th.empty_like(hidden) if wants_hidden else None
        weight_grad = th.zeros_like(weight) if wants_weight else None
        bias_grad = th.zeros_like(bias) if wants_bias else None
        for part in _chunks(hidden.shape[0], weight.shape[0]):
            grad = _logits_grad(
                ctx.layer, hidden[part], actions[part], log_normaliser[part], entropy[part], part, grads
            )
            grad = grad.to(hidden.dtype)
            if hidden_grad is not None:
                hidden_grad[part] = grad @ weight
            if weight_grad is not None:
                weight_grad.addmm_(grad.T, hidden[part])
            if bias_grad is not None:
                bias_grad += grad.sum(dim=0)
        return hidden_grad, weight_grad, bias_grad, None, None


def _logits_grad(
    layer: OutputLayer,
    hidden: th.Tensor,
    actions: th.Tensor,
    log_normaliser: th.Tensor,
    entropy: th.Tensor,
    part: slice,
    grads: tuple[th.Tensor, ...],
) -> th.Tensor:
    """Gradient with respect to the linear layer's output, ``(n, vocab_size)`` float32.

    With probabilities p and entropy H: d log p[a] / d z = onehot(a) - p, and dH / d z = -p (log p + H).
    """
    log_prob_grad, entropy_grad = grads[0][part, None], grads[1][part, None]
    logits = layer.logits(hidden)
    log_probs = logits - log_normaliser[:, None]
    probs = log_probs.exp()
    if bool(entropy_grad.any()):
        grad = probs.mul_(-(log_prob_grad + entropy_grad * (log_probs.add_(entropy[:, None]))))
    else:
        grad = probs.mul_(-log_prob_grad)
    grad.scatter_add_(1, actions[:, None], log_prob_grad.to(grad.dtype))
    if layer.softcap is not None:
        capped = logits / (layer.scale * layer.softcap)
        grad.mul_(1.0 - capped.square())
    return grad if layer.scale == 1.0 else grad.mul_(layer.scale)


def _chunks(n_rows: int, vocab_size: int) -> list[slice]:
    size = max(1, CHUNK_ELEMENTS // vocab_size)
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def sample_tokens(logits: th.Tensor, generator: th.Generator | None = None) -> tuple[th.Tensor, th.Tensor]:
    """Draw one token a row by inverting the cumulative distribution: one uniform number a row.

    ``torch.multinomial`` draws exponential noise for every entry of the vocabulary, which costs a fifth of a rollout
    with a small model.

    Args:
        logits: ``(n, vocab_size)`` float32; ``-inf`` marks tokens of probability exactly zero, never drawn.
        generator: Source of the uniform numbers; None for torch's global one.

    Returns:
        Tokens ``(n,)`` int64 and their log-probabilities ``(n,)`` float32.
    """
    top = logits.amax(dim=1, keepdim=True)
    cumulative = (logits - top).exp_().cumsum(dim=1)
    total = cumulative[:, -1:]
    draw = th.rand(total.shape, device=logits.device, generator=generator) * total
    draw = th.minimum(draw, total.nextafter(th.zeros_like(total)))  # rounding may have reached the total itself
    tokens = th.searchsorted(cumulative, draw, right=True)
    log_prob = logits.gather(1, tokens) - top - total.log()
    return tokens.squeeze(1), log_prob.squeeze(1)


def best_tokens(logits: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """The most probable token of each row ``(n,)`` int64 and its log-probability ``(n,)`` float32."""
    chosen, tokens = logits.max(dim=1)
    return tokens, chosen - logits.logsumexp(dim=1)
