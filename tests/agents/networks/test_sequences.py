"""Packed sequences: how many rows go through a model at once changes nothing but the time."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from agents.networks import sequences
from agents.networks.language_model import LanguageModel
from agents.networks.sequences import PackedSequences

LENGTHS = np.array([24, 24, 23, 9, 8, 2])


def packed() -> PackedSequences:
    ids = th.randint(64, (len(LENGTHS), 24), generator=th.Generator().manual_seed(0))
    pairs = th.tensor([(row, position) for row, length in enumerate(LENGTHS) for position in (0, length - 1)])
    return PackedSequences(ids, LENGTHS, *pairs.T.contiguous())


def hidden_and_gradient(model: LanguageModel) -> tuple[th.Tensor, th.Tensor]:
    model.zero_grad()
    hidden = packed().transition_hidden(model)
    hidden.square().sum().backward()
    return hidden.detach(), th.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("tokens", [1, 48, 50])
def test_rows_in_parts_give_the_same_hidden_states_and_gradients(
    lm_folder: str, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    model = LanguageModel(lm_folder, "all", "float32", "cpu")
    whole = hidden_and_gradient(model)
    monkeypatch.setattr(sequences, "CPU_BUCKET_TOKENS", tokens)
    assert len(packed()._buckets()) > len(sequences._length_buckets(LENGTHS))
    for part, expected in zip(hidden_and_gradient(model), whole, strict=True):
        th.testing.assert_close(part, expected, rtol=1e-4, atol=1e-4)


def test_parts_are_small_and_hold_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "CPU_BUCKET_TOKENS", 50)
    buckets = packed()._buckets()
    assert [row for start, stop in buckets for row in range(start, stop)] == list(range(len(LENGTHS)))
    assert all((stop - start) * LENGTHS[start] <= 50 for start, stop in buckets)


def test_every_second_transition_is_of_the_same_sequences(lm_folder: str) -> None:
    model = LanguageModel(lm_folder, "all", "float32", "cpu")
    whole = packed()
    whole.columns["cursor"] = whole.positions[:, None]
    half = whole[::2]
    assert len(half) == len(whole) // 2 and half.columns["cursor"].shape == (len(half), 1)
    th.testing.assert_close(half.transition_hidden(model), whole.transition_hidden(model)[::2])
