"""Chunked log-probabilities equal torch's; draws follow the distribution."""

from __future__ import annotations

import pytest
import torch as th

from agents.networks import token_log_probs as module
from agents.networks.token_log_probs import best_tokens, sample_tokens, token_log_probs
from lm_envs.inference.output_layer import OutputLayer


def plain(layer, hidden, actions, mask=None):
    logits = layer.logits(hidden)
    if mask is not None:
        logits = logits.masked_fill(mask == 0, float("-inf"))
    distribution = th.distributions.Categorical(logits=logits)
    return distribution.log_prob(actions), distribution.entropy()


@pytest.mark.parametrize("kept_elements", [0, 2**24])
@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_equal_the_plain_computation(
    monkeypatch, kept_elements, softcap, scale, use_bias, entropy_weight, masked
):
    monkeypatch.setattr(module, "KEPT_ELEMENTS", kept_elements)
    monkeypatch.setattr(module, "MIN_CHUNK_ROWS", 7)  # 23 rows in chunks of 7
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", {"cpu": 1, "cuda": 1})
    th.manual_seed(0)
    leaves = [
        th.randn(23, 16, requires_grad=True),
        th.randn(50, 16, requires_grad=True),
        th.randn(50, requires_grad=True),
    ]
    actions, weights = th.randint(0, 50, (23,)), th.randn(23)
    mask = (th.rand(23, 50) < 0.3).to(th.int8).scatter_(1, actions[:, None], 1) if masked else None
    results = []
    for function in (plain, token_log_probs):
        hidden, weight, bias = leaves
        layer = OutputLayer(weight, bias if use_bias else None, scale, softcap)
        log_prob, entropy = function(layer, hidden, actions, mask)
        loss = (weights * log_prob).sum() + entropy_weight * entropy.sum()
        grads = th.autograd.grad(loss, leaves if use_bias else leaves[:2])
        results.append((log_prob, entropy, *grads))
    for expected, got in zip(*results, strict=True):
        assert got.isfinite().all() and th.allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("kept_elements", [0, 2**24])
def test_illegal_tokens_have_probability_zero_and_no_gradient(monkeypatch, kept_elements):
    monkeypatch.setattr(module, "KEPT_ELEMENTS", kept_elements)
    hidden, bias = th.randn(2, 8), th.zeros(50, requires_grad=True)
    mask = th.ones(2, 50, dtype=th.bool)
    mask[:, 10:] = False
    layer = OutputLayer(100 * th.randn(50, 8), bias)  # an illegal token would have all the probability
    log_prob, entropy = token_log_probs(layer, hidden, th.tensor([20, 3]), mask)
    assert log_prob[0] == float("-inf") and log_prob[1].isfinite()
    (log_prob[1] + entropy.sum()).backward()
    assert bias.grad.isfinite().all() and not bias.grad[10:].any() and bias.grad[:10].any()


def test_frozen_output_layer_gets_no_gradient():
    weight, hidden = th.randn(50, 16), th.randn(4, 16, requires_grad=True)
    log_prob, _ = token_log_probs(OutputLayer(weight), hidden, th.tensor([1, 2, 3, 4]))
    log_prob.sum().backward()
    assert weight.grad is None and hidden.grad is not None


def test_draws_follow_the_distribution_and_report_its_log_probabilities():
    th.manual_seed(0)
    logits = th.tensor([0.0, 1.0, 2.0, -1.0, float("-inf")]).repeat(40_000, 1)
    tokens, log_prob = sample_tokens(logits)
    expected = logits[0].softmax(dim=0)
    observed = th.bincount(tokens, minlength=5) / len(tokens)
    assert observed[4] == 0
    assert th.allclose(observed, expected, atol=0.01)
    assert th.allclose(log_prob, logits.log_softmax(dim=1).gather(1, tokens[:, None]).squeeze(1), atol=1e-5)


class _Extreme:
    """A generator stand-in that makes ``th.rand`` return its extremes."""

    def __init__(self, value):
        self.value = value

    def __call__(self, shape, **_):
        return th.full(shape, self.value)


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-24])
def test_impossible_tokens_are_never_drawn_even_at_the_ends_of_the_unit_interval(monkeypatch, uniform):
    monkeypatch.setattr(th, "rand", _Extreme(uniform))
    logits = th.full((3, 50_000), float("-inf"))
    logits[:, 100:40_000] = th.randn(3, 39_900)
    tokens, log_prob = sample_tokens(logits)
    assert ((tokens >= 100) & (tokens < 40_000)).all() and log_prob.isfinite().all()


def test_best_token():
    logits = th.randn(6, 30)
    tokens, log_prob = best_tokens(logits)
    assert (tokens == logits.argmax(dim=1)).all()
    assert th.allclose(log_prob, logits.log_softmax(dim=1).max(dim=1).values)


def test_a_generator_makes_draws_repeatable():
    logits = th.randn(8, 100)
    first, second = (sample_tokens(logits, th.Generator().manual_seed(3))[0] for _ in range(2))
    assert (first == second).all()
