"""The fast linear layer gives the plain one's numbers and gradients."""

from __future__ import annotations

import pytest
import torch as th
from torch import nn
from torch.nn import functional

from lm_envs.inference import fast_linear
from lm_envs.inference.fast_linear import FastLinear, differentiable_twice, linear, product, speed_up

SHAPES = [((40, 64), 384), ((2, 70, 128), 96), ((3, 8), 5)]


@pytest.mark.parametrize(("shape", "n_out"), SHAPES)
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("available", [False, fast_linear._AVAILABLE])
def test_values_and_gradients(monkeypatch, shape, n_out, use_bias, available):
    monkeypatch.setattr(fast_linear, "_AVAILABLE", available)
    th.manual_seed(0)
    leaves = [th.randn(shape), th.randn(n_out, shape[-1]), th.randn(n_out)]
    leaves = [leaf.requires_grad_() for leaf in (leaves if use_bias else leaves[:2])]
    target = th.randn(*shape[:-1], n_out)
    results = []
    for function in (functional.linear, linear):
        output = function(*leaves)
        results.append((output, *th.autograd.grad((output * target).sum(), leaves)))
    for expected, got in zip(*results, strict=True):
        assert th.allclose(got, expected, atol=1e-3, rtol=1e-4)


def test_the_operation_is_there_in_the_version_that_is_tested():
    assert fast_linear._AVAILABLE
    assert fast_linear._worthwhile(th.zeros(64, 8), th.zeros(128, 8))
    assert not fast_linear._worthwhile(th.zeros(64, 8, dtype=th.bfloat16), th.zeros(128, 8, dtype=th.bfloat16))
    assert not fast_linear._worthwhile(th.zeros(2, 8), th.zeros(128, 8))


def test_frozen_weights_get_no_gradient():
    input, weight = th.randn(64, 16, requires_grad=True), th.randn(256, 16)
    linear(input, weight).sum().backward()
    assert th.allclose(input.grad, weight.sum(dim=0).expand(64, 16), atol=1e-4)
    assert weight.grad is None


def test_product():
    a, b = th.randn(100, 30), th.randn(200, 30)
    assert th.allclose(product(a, b), a @ b.T, atol=1e-4)


@pytest.mark.parametrize(
    "view",
    [
        lambda n, k: th.randn(k, n).T,
        lambda n, k: th.randn(n, 2 * k)[:, 3 : 3 + k],
        lambda n, k: th.randn(n, 1).expand(n, k),
        lambda n, k: th.randn(1, k).expand(n, k),
        lambda n, k: th.randn(k, 2 * n)[:, ::2].T,
    ],
    ids=["transposed", "columns", "one column", "one row", "every other"],
)
def test_product_of_views(view):
    a, b = view(100, 300), view(200, 300)
    expected = a.double() @ b.double().T
    for got in (product(a, b), product(a.contiguous(), b), product(a, b.contiguous())):
        assert th.allclose(got.double(), expected, atol=1e-3)


def test_second_derivatives_on_demand():
    input, weight = th.randn(64, 16, requires_grad=True), th.randn(256, 16, requires_grad=True)
    with differentiable_twice():
        output = linear(input, weight).square().sum()
    (grad,) = th.autograd.grad(output, input, create_graph=True)
    assert th.autograd.grad(grad.sum(), weight)[0].abs().sum() > 0


def test_only_plain_linear_layers_are_changed_and_names_stay():
    class Special(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(4, 4), Special(4, 4), nn.LayerNorm(4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    speed_up(model)
    assert [type(module) for module in model] == [FastLinear, Special, nn.LayerNorm]
    assert all(th.equal(value, before[name]) for name, value in model.state_dict().items())
