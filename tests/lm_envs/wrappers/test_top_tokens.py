"""Candidates from logits: order, end-of-text, legality, nucleus."""

from __future__ import annotations

import pytest
import torch as th

from lm_envs.wrappers.top_tokens import top_tokens

LOGITS = th.tensor([[0.0, 3.0, 1.0, 2.0, -1.0]])


def lists(top):
    return top.ids[0].tolist(), top.distinct[0].tolist()


def test_sorted_with_full_log_probs():
    top = top_tokens(LOGITS, 3, [3])
    assert lists(top) == ([1, 3, 2], [True] * 3)
    assert top.log_probs[0] == pytest.approx(LOGITS.log_softmax(-1)[0, [1, 3, 2]])


@pytest.mark.parametrize(("eos", "ids"), [([4], [1, 4]), ([0, 4], [1, 0]), ([3, 4], [1, 3]), ([], [1, 3])])
def test_the_most_probable_end_takes_the_last_slot(eos, ids):
    top = top_tokens(LOGITS, 2, eos)
    assert lists(top) == (ids, [True, True])
    assert top.log_probs[0] == pytest.approx(LOGITS.log_softmax(-1)[0, ids])


def test_illegal_tokens():
    legal = th.tensor([[True, False, True, False, False]])
    top = top_tokens(LOGITS, 4, [4], legal=legal)
    assert lists(top) == ([2, 0, 2, 2], [True, True, False, False])
    assert top.log_probs[0] == pytest.approx(LOGITS.log_softmax(-1)[0, [2, 0, 2, 2]])
    legal[0, 4] = True
    assert lists(top_tokens(LOGITS, 2, [4], legal=legal)) == ([2, 4], [True, True])


def test_top_p_is_the_smallest_set_that_holds_the_share_of_the_legal():
    probs = th.tensor([[0.4, 0.3, 0.2, 0.1]])
    assert lists(top_tokens(probs.log(), 3, [], top_p=0.39)) == ([0, 0, 0], [True, False, False])
    assert lists(top_tokens(probs.log(), 3, [], top_p=0.41)) == ([0, 1, 0], [True, True, False])
    assert lists(top_tokens(probs.log(), 4, [3], top_p=0.41)) == ([0, 1, 0, 3], [True, True, False, True])
    legal = th.tensor([[False, True, True, True]])  # 1/2, 1/3, 1/6
    assert lists(top_tokens(probs.log(), 3, [], top_p=0.49, legal=legal)) == ([1, 1, 1], [True, False, False])


def test_log_probs_never_exceed_zero():
    logits = th.full((8, 50), -60.0)
    logits[:, 7] = 40.0
    assert (top_tokens(logits, 2, []).log_probs <= 0).all()
