"""Operations that a CUDA graph cannot hold are found without a GPU."""

from __future__ import annotations

import pytest
import torch as th
from torch import nn

from lm_envs.inference.waiting import waiting_operations

X = th.arange(6.0).view(2, 3)
META = th.ones(2, 3, device="meta")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda: X.sum().item(), "_local_scalar_dense"),
        (lambda: 1 if X.any() else 0, "_local_scalar_dense"),
        (lambda: X[X > 2], "index"),
        (lambda: X.clone().index_put_((X > 2,), th.tensor(0.0)), "index_put_"),
        (lambda: (X > 2).nonzero(), "nonzero"),
        (lambda: X.masked_select(X > 2), "masked_select"),
        (lambda: X.unique(), "_unique2"),
        (lambda: th.equal(X, X), "equal"),
        (lambda: X.repeat_interleave(th.tensor([1, 2]), dim=0), "repeat_interleave"),
        (lambda: X.to("meta"), "_to_copy"),
        (lambda: META.copy_(X), "copy_"),
    ],
)
def test_found(function, name):
    assert name in waiting_operations(function)


@pytest.mark.parametrize(
    "function",
    [
        lambda: X[th.tensor([1, 0])],
        lambda: X.clone().index_put_((th.tensor([0]), th.tensor([1])), th.tensor(5.0)),
        lambda: X.repeat_interleave(2, dim=1),
        lambda: X.masked_fill(X > 2, 0.0).softmax(dim=1).argmax(dim=1),
        lambda: X.cumsum(dim=1).clone().copy_(X).bfloat16(),
        lambda: nn.Linear(3, 4)(X),
        lambda: META + 1.0,
        lambda: META * th.tensor(2.0),  # a number of the host may come along
    ],
)
def test_static(function):
    assert waiting_operations(function) == []
