"""Tokens are drawn as the distribution says, each row by its own number."""

from __future__ import annotations

import pytest
import torch as th

from lm_envs.inference.sampling import draw_by_weight, draw_tokens, first_above

LOGITS = th.tensor([0.0, 1.0, 2.0, -1.0, float("-inf")])


def frequencies(temperature=1.0, top_p=1.0, n=40_000):
    uniform = (th.arange(n) + 0.5) / n
    tokens = draw_tokens(LOGITS.repeat(n, 1), uniform, temperature, top_p)
    return th.bincount(tokens, minlength=5) / n


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_distribution(temperature):
    assert th.allclose(frequencies(temperature), (LOGITS / temperature).softmax(dim=0), atol=1e-3)


def test_without_temperature_the_most_probable_token_comes():
    assert frequencies(temperature=0.0)[2] == 1.0


@pytest.mark.parametrize(("top_p", "kept"), [(0.1, [2]), (0.7, [1, 2]), (0.95, [0, 1, 2])])
def test_top_p_keeps_the_fewest_tokens_that_have_the_probability(top_p, kept):
    probs = th.zeros(5)
    probs[kept] = LOGITS[kept].softmax(dim=0)
    assert th.allclose(frequencies(top_p=top_p), probs, atol=1e-3)


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2**-24])
def test_impossible_tokens_are_never_drawn_even_at_the_ends_of_the_unit_interval(uniform):
    logits = th.full((3, 50_000), float("-inf"))
    logits[:, 100:40_000] = th.randn(3, 39_900)
    tokens = draw_tokens(logits, th.full((3,), uniform))
    assert ((tokens >= 100) & (tokens < 40_000)).all()


def test_a_row_does_not_depend_on_the_others():
    logits, uniform = th.randn(8, 100), th.rand(8)
    together = draw_tokens(logits, uniform, 0.7, 0.9)
    assert [int(draw_tokens(logits[i : i + 1], uniform[i : i + 1], 0.7, 0.9)) for i in range(8)] == together.tolist()


def test_columns_of_weight_zero_are_never_drawn_however_their_sums_were_rounded():
    weights = th.tensor([0.0, 1.0, 0.0, 1.0, 0.0]).repeat(1_000, 1)
    cumulative = th.tensor([0.1, 1.0, 1.3, 1.2, 2.5]).repeat(1_000, 1)  # rises and falls where there is no weight
    uniform = th.linspace(0, 1 - 2**-24, 1_000)[:, None]
    columns, total = first_above(weights, cumulative, uniform)
    assert set(columns.flatten().tolist()) == {1, 3}
    assert (total == 1.2).all()


def test_both_ways_to_invert_draw_the_same():
    logits = th.randn(400, 300).masked_fill(th.rand(400, 300) < 0.5, float("-inf"))
    weights, uniform = logits.exp(), th.rand(400, 1)
    in_parallel, total = first_above(weights, weights.cumsum(dim=1), uniform)
    in_order, expected_total = draw_by_weight(weights, uniform)
    assert th.equal(in_parallel, in_order) and th.equal(total, expected_total)
