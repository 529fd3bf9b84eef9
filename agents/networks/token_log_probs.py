"""Log-probability and entropy of token actions, without ever holding all logits of a large vocabulary.

The log-softmax over a 50k vocabulary is the memory peak of an update. :func:`token_log_probs` walks over the positions
in chunks and keeps one number per position for the backward pass, which computes each chunk's probabilities again:
peak memory falls from several times ``n * vocab_size`` floats to one chunk, for a third more work in the output layer.
Where all probabilities are small enough to keep, they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch as th

from agents.networks.token_mask import PackedMask
from lm_envs.inference.fast_linear import product
from lm_envs.inference.output_layer import OutputLayer
from lm_envs.inference.sampling import draw_by_weight

CHUNK_ELEMENTS = {"cpu": 2**18, "cuda": 2**24}  # logits at once: what fits a core's cache, what fills a GPU
MIN_CHUNK_ROWS = 128  # below this the matrix products lose their efficiency
KEPT_ELEMENTS = 2**24  # probabilities kept for the backward pass: 64 MiB
LOWEST_LOGIT = -1e30  # of illegal tokens: probability 0, and unlike minus infinity a number when multiplied by 0


def token_log_probs(
    layer: OutputLayer, hidden: th.Tensor, actions: th.Tensor, mask: th.Tensor | PackedMask | None = None
) -> tuple[th.Tensor, th.Tensor]:
    """Log-probabilities of the actions and entropies of the distributions, differentiable, in chunks.

    Args:
        layer: The output layer; gradients reach its weight and bias where they require them.
        hidden: ``(n, hidden_size)`` hidden states, any floating dtype.
        actions: ``(n,)`` int64 token ids.
        mask: ``(n, vocab_size)``, nonzero for legal tokens; the others have probability exactly 0. None: all are.

    Returns:
        Two float32 tensors ``(n,)``: log-probability in nats, minus infinity for an illegal token; entropy in nats.
    """
    return _TokenLogProbs.apply(hidden, layer.weight, layer.bias, actions, mask, layer)


class _TokenLogProbs(th.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: th.Tensor,
        weight: th.Tensor,
        bias: th.Tensor | None,
        actions: th.Tensor,
        mask: th.Tensor | PackedMask | None,
        layer: OutputLayer,
    ) -> tuple[th.Tensor, th.Tensor]:
        n_rows, vocab_size = hidden.shape[0], weight.shape[0]
        log_prob = hidden.new_empty(n_rows, dtype=th.float32)
        entropy, log_normaliser = th.empty_like(log_prob), th.empty_like(log_prob)
        keep = any(ctx.needs_input_grad) and layer.softcap is None and n_rows * vocab_size <= KEPT_ELEMENTS
        kept = hidden.new_empty((n_rows, vocab_size), dtype=th.float32) if keep else None
        for part in row_chunks(hidden, vocab_size):
            logits = layer.logits(hidden[part])
            if mask is not None:
                logits.masked_fill_(mask[part] == 0, LOWEST_LOGIT)
            top = logits.amax(dim=1, keepdim=True)
            probs = th.sub(logits, top, out=None if kept is None else kept[part]).exp_()
            total = probs.sum(dim=1, keepdim=True)
            probs.div_(total)
            normaliser = (total.log() + top).squeeze(1)
            log_prob[part] = logits.gather(1, actions[part, None]).squeeze(1) - normaliser
            entropy[part] = normaliser - th.linalg.vecdot(probs, logits)
            log_normaliser[part] = normaliser
        if mask is not None:
            log_prob.masked_fill_(_is_illegal(mask, actions), float("-inf"))
        ctx.save_for_backward(hidden, weight, bias, actions, log_normaliser, entropy, kept)
        ctx.layer, ctx.mask = layer, mask
        return log_prob, entropy

    @staticmethod
    def backward(ctx: Any, *grads: th.Tensor) -> tuple[th.Tensor | None, ...]:
        hidden, weight, bias, actions, log_normaliser, entropy, kept = ctx.saved_tensors
        mask = ctx.mask
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        hidden_grad = th.empty_like(hidden) if wants_hidden else None
        weight_grad = th.zeros_like(weight) if wants_weight else None
        bias_grad = th.zeros_like(bias) if wants_bias else None
        log_prob_grad = grads[0] if mask is None else grads[0].masked_fill(_is_illegal(mask, actions), 0.0)
        wants_entropy = bool(grads[1].any())
        for part in row_chunks(hidden, weight.shape[0]):
            slope = None
            if kept is None:
                probs, slope = _probs_and_slope(ctx.layer, hidden[part], log_normaliser[part])
                probs = probs if mask is None else probs.masked_fill_(mask[part] == 0, 0.0)
            else:
                probs = kept[part]
            entropy_grad = grads[1][part, None] if wants_entropy else None
            grad = _logits_grad(
                probs, actions[part, None], log_prob_grad[part, None], entropy_grad, entropy[part, None]
            )
            grad = grad if slope is None else grad.mul_(slope)
            grad = (grad if ctx.layer.scale == 1.0 else grad.mul_(ctx.layer.scale)).to(hidden.dtype)
            if hidden_grad is not None:
                hidden_grad[part] = product(grad, weight.T)
            if weight_grad is not None:
                weight_grad += product(grad.T, hidden[part].T)
            if bias_grad is not None:
                bias_grad += grad.sum(dim=0)
        return hidden_grad, weight_grad, bias_grad, None, None, None


def _is_illegal(mask: th.Tensor | PackedMask, actions: th.Tensor) -> th.Tensor:
    if isinstance(mask, PackedMask):
        return ~mask.at(actions)
    return mask.gather(1, actions[:, None]).squeeze(1) == 0


def _probs_and_slope(
    layer: OutputLayer, hidden: th.Tensor, log_normaliser: th.Tensor
) -> tuple[th.Tensor, th.Tensor | None]:
    """Probabilities ``(n, vocab_size)`` again, and the derivative of capped logits by the uncapped ones."""
    logits = layer.logits(hidden)
    slope = None if layer.softcap is None else 1.0 - (logits / (layer.scale * layer.softcap)).square()
    return logits.sub_(log_normaliser[:, None]).exp_(), slope


def _logits_grad(
    probs: th.Tensor,
    actions: th.Tensor,
    log_prob_grad: th.Tensor,
    entropy_grad: th.Tensor | None,
    entropy: th.Tensor,
) -> th.Tensor:
    """Gradient ``(n, vocab_size)`` float32 with respect to the scaled logits z; all else is ``(n, 1)``.

    With probabilities p and entropy H: d log p[a] / d z = onehot(a) - p, and dH / d z = -p (log p + H).
    """
    if entropy_grad is None:
        grad = probs * -log_prob_grad
    else:
        grad = (
            th.xlogy(probs, probs).mul_(-entropy_grad).addcmul_(probs, log_prob_grad + entropy_grad * entropy, value=-1)
        )
    return grad.scatter_add_(1, actions, log_prob_grad)


def row_chunks(hidden: th.Tensor, vocab_size: int) -> Iterator[slice]:
    """Parts of the rows of ``hidden`` ``(n, hidden_size)`` so small that the logits of one part may be held."""
    n_rows = hidden.shape[0]
    elements = CHUNK_ELEMENTS.get(hidden.device.type, CHUNK_ELEMENTS["cuda"])
    size = max(MIN_CHUNK_ROWS, elements // vocab_size)
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def sample_tokens(
    logits: th.Tensor, generator: th.Generator | None = None, uniform: th.Tensor | None = None
) -> tuple[th.Tensor, th.Tensor]:
    """Draw one token a row by inverting the cumulative distribution: one uniform number a row.

    ``torch.multinomial`` draws exponential noise for every entry of the vocabulary, which costs a fifth of a rollout
    with a small model.

    Args:
        logits: ``(n, vocab_size)`` float32; ``-inf`` marks tokens of probability exactly zero, never drawn.
        generator: Source of the uniform numbers; None for torch's global one.
        uniform: The uniform numbers ``(n, 1)`` themselves, where they are drawn already.

    Returns:
        Tokens ``(n,)`` int64 and their log-probabilities ``(n,)`` float32.
    """
    top = logits.amax(dim=1, keepdim=True)
    if uniform is None:
        uniform = th.rand(top.shape, device=logits.device, generator=generator)
    tokens, total = draw_by_weight((logits - top).exp_(), uniform)
    log_prob = logits.gather(1, tokens) - top - total.log()
    return tokens.squeeze(1), log_prob.squeeze(1)


def best_tokens(logits: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """The most probable token of each row ``(n,)`` int64 and its log-probability ``(n,)`` float32."""
    chosen, tokens = logits.max(dim=1)
    return tokens, chosen - logits.logsumexp(dim=1)
