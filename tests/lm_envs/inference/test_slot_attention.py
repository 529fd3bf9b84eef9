"""Keys are repeated where no fused kernel of a GPU would take fewer heads, and only there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch as th

from lm_envs.inference.slot_attention import _for_each_head, _Score, _shares_heads


def a_query(device, dtype=th.bfloat16, width=64):
    return SimpleNamespace(device=th.device(device), dtype=dtype, shape=(2, 8, 5, width))


@pytest.mark.parametrize(
    ("query", "mask", "shares"),
    [
        (a_query("cuda"), None, True),
        (a_query("cuda", th.float16), None, True),
        (a_query("cuda"), th.ones(5, 5), False),
        (a_query("cuda", th.float32), None, False),
        (a_query("cuda", width=320), None, False),
        (a_query("cpu", th.float32), th.ones(5, 5), True),
    ],
)
def test_which_attention_shares_heads(query, mask, shares):
    assert _shares_heads(query, mask) is shares


@pytest.mark.parametrize("masked", [True, False])
def test_repeated_heads_give_the_same_numbers(masked):
    query, key, value = th.randn(2, 8, 5, 16), th.randn(2, 2, 5, 16), th.randn(2, 2, 5, 16)
    mask = th.ones(5, 5, dtype=th.bool).tril() if masked else None
    score = _Score(None, None, None)
    shared = score.attend(query, key, value, mask, is_causal=not masked)
    repeated = score.attend(query, *_for_each_head(query, key, value), mask, is_causal=not masked)
    assert th.allclose(shared, repeated, atol=1e-6)
