"""The nucleus is the one of a plain sort; packed masks give back what was packed."""

from __future__ import annotations

import pytest
import torch as th

from agents.networks import nucleus as module
from agents.networks import token_log_probs
from agents.networks.nucleus import nucleus, nucleus_mask, was_inside
from agents.networks.token_mask import PackedMask
from lm_envs.inference.output_layer import OutputLayer


def by_hand(logits, top_p, min_tokens=1):
    """Token after token in order of probability, until the sum has reached ``top_p``."""
    mask = th.zeros_like(logits, dtype=th.bool)
    for row, probs in enumerate(logits.double().softmax(dim=1)):
        total = 0.0
        for place, token in enumerate(probs.argsort(descending=True)):
            if total >= top_p and place >= min_tokens:
                break
            mask[row, token] = probs[token] > 0
            total += float(probs[token])
    return mask


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
@pytest.mark.parametrize(("top_p", "min_tokens"), [(0.05, 1), (0.5, 3), (0.9, 1), (0.9, 40), (0.99, 1), (1.0, 1)])
def test_the_nucleus_is_that_of_a_plain_sort(spread, top_p, min_tokens):
    logits = spread * th.randn(13, 700, generator=th.Generator().manual_seed(0))
    found = nucleus(logits, top_p, min_tokens)
    assert th.equal(found, by_hand(logits, top_p, min_tokens))
    probs = logits.softmax(dim=1)
    assert ((probs * found).sum(dim=1) >= top_p - 1e-5).all()


def test_rows_that_need_more_tokens_are_told_from_those_that_do_not():
    logits = th.randn(4, 3 * module.FIRST_TOKENS * module.GROWTH, generator=th.Generator().manual_seed(1))
    logits[1] *= 8
    logits[3, 5] = 100.0
    found = nucleus(logits, 0.9)
    assert th.equal(found, by_hand(logits, 0.9))
    assert found[3].sum() == 1 and found[0].sum() > module.FIRST_TOKENS * module.GROWTH


def test_equal_tokens_share_a_fate_and_illegal_ones_stay_out():
    logits = th.tensor([[0.0, 0.0, 0.0, 0.0, float("-inf")]])
    assert nucleus(logits, 0.3).tolist() == [[True, True, True, True, False]]
    assert nucleus(logits, 0.3, min_tokens=5).tolist() == [[True, True, True, True, False]]
    assert nucleus(logits, 1.0).tolist() == [[True, True, True, True, False]]


def test_a_token_at_the_edge_counts_as_inside_and_others_do_not():
    logits = th.tensor([[0.6, 0.3, 0.07, 0.03, 0.0]]).log()
    for top_p in (0.9 - 1e-6, 0.9 + 1e-6):  # the third token is out, or in, by less than rounding
        inside = [bool(was_inside(logits, th.tensor([token]), top_p, 1, 1e-4)) for token in range(5)]
        assert inside == [True, True, True, False, False]
    assert bool(was_inside(logits, th.tensor([3]), 0.9, 4, 1e-4))


@pytest.mark.parametrize("n_tokens", [1, 8, 50, 64])
def test_packed_masks_unpack(n_tokens):
    mask = th.rand(9, n_tokens, generator=th.Generator().manual_seed(0)) < 0.4
    packed = PackedMask(PackedMask.bits_of(mask), n_tokens)
    assert th.equal(packed[slice(2, 7)], mask[2:7]) and packed.bits.numel() == 9 * -(-n_tokens // 8)
    tokens = th.randint(0, n_tokens, (9,))
    assert th.equal(packed.at(tokens), mask[th.arange(9), tokens])


@pytest.mark.parametrize("kept_elements", [0, 2**24])
def test_packed_and_plain_masks_give_the_same_log_probs_and_gradients(monkeypatch, kept_elements):
    monkeypatch.setattr(token_log_probs, "KEPT_ELEMENTS", kept_elements)
    monkeypatch.setattr(token_log_probs, "MIN_CHUNK_ROWS", 5)
    monkeypatch.setattr(token_log_probs, "CHUNK_ELEMENTS", {"cpu": 1, "cuda": 1})
    th.manual_seed(0)
    hidden, weight = th.randn(12, 6), th.randn(30, 6, requires_grad=True)
    layer, actions = OutputLayer(weight), th.randint(0, 30, (12,))
    masks = nucleus_mask(layer, hidden, {}, 0.5), nucleus_mask(layer, hidden, {}, 0.5, actions=actions)
    assert isinstance(masks[0], th.Tensor) and isinstance(masks[1], PackedMask)
    assert th.equal(masks[0], nucleus(layer.logits(hidden), 0.5)) and th.equal(masks[0], masks[1][:])
    found = []
    for mask in masks:
        log_prob, entropy = token_log_probs.token_log_probs(layer, hidden, actions, mask)
        inside = log_prob.isfinite()
        found.append((log_prob, *th.autograd.grad(log_prob[inside].sum() + entropy.sum(), weight)))
    assert 0 < int(inside.sum()) < 12
    assert all(th.equal(first, second) for first, second in zip(*found, strict=True))


def test_the_nucleus_is_over_legal_actions_and_candidates():
    th.manual_seed(0)
    hidden, layer = th.randn(6, 4), OutputLayer(th.randn(40, 4))
    legal = th.rand(6, 40) < 0.2
    expected = nucleus(layer.logits(hidden).masked_fill(~legal, float("-inf")), 0.8)
    assert th.equal(nucleus_mask(layer, hidden, {"action_mask": legal}, 0.8), expected)
    candidates = th.stack([th.randperm(40)[:7] for _ in range(6)])
    among = layer.logits(hidden).gather(1, candidates)
    for actions in (None, th.zeros(6, dtype=th.int64)):
        found = nucleus_mask(layer, hidden, {"candidate_ids": candidates}, 0.8, actions=actions)
        assert th.equal(found, nucleus(among, 0.8))
