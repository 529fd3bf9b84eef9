"""Cached rollouts equal the plain forward pass, and compute each token once."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th

from lm_envs import load_language_model
from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.inference.slot_cache import SlotCache

TOLERANCE = 1e-4


def plain_logits(folder, obs):
    """transformers' own forward pass, each row by itself without padding."""
    model = load_language_model(folder)
    rows = []
    for ids, mask in zip(obs["input_ids"], obs["attention_mask"], strict=True):
        prefix = ids[: int(mask.sum())].long()[None]
        rows.append(model(input_ids=prefix, attention_mask=th.ones_like(prefix), use_cache=False).logits[0, -1])
    return th.stack(rows)


def cached_logits(model, cache, obs, rows=None):
    hidden = model.last_hidden(cache, obs["input_ids"], obs["attention_mask"], rows)
    return model.output_layer.logits(hidden)


@pytest.fixture
def folder(random_lm_folder, family):
    return random_lm_folder(family)


def test_cached_steps_equal_plain_passes_over_ragged_episodes(folder, token_stream):
    model, stream = CachedLanguageModel(folder), token_stream(5)
    cache = SlotCache(5, 24, th.device("cpu"))
    restarts = 0
    with th.no_grad():
        for obs in stream.random_steps(40):
            restarts += int(stream.starts.sum())
            assert th.allclose(cached_logits(model, cache, obs), plain_logits(folder, obs), atol=TOLERANCE)
    assert restarts > 10  # prompts of several lengths were prefilled beside rows that went on


def test_several_new_tokens_at_once_are_prefilled_behind_the_known_prefix(folder, token_stream):
    model, stream = CachedLanguageModel(folder), token_stream(4, seed=3)
    cache = SlotCache(4, 24, th.device("cpu"))
    with th.no_grad():
        for _ in range(15):
            obs = stream.tensors()
            assert th.allclose(cached_logits(model, cache, obs), plain_logits(folder, obs), atol=TOLERANCE)
            stream.append(stream.rng.integers(2, 64, 4), n_tokens=int(stream.rng.integers(1, 5)))


def test_a_changed_past_is_computed_again(folder, token_stream):
    model, stream = CachedLanguageModel(folder), token_stream(3, seed=1)
    cache = SlotCache(3, 24, th.device("cpu"))
    with th.no_grad():
        for obs in stream.random_steps(4):
            cached_logits(model, cache, obs)
        obs = stream.tensors()
        obs["input_ids"][1, 0] = (obs["input_ids"][1, 0] + 1) % 64
        assert th.allclose(cached_logits(model, cache, obs), plain_logits(folder, obs), atol=TOLERANCE)


def test_each_token_is_computed_once(lm_folder, token_stream):
    model, stream = CachedLanguageModel(lm_folder), token_stream(6, seed=2)
    cache = SlotCache(6, 24, th.device("cpu"))
    expected = 0
    with th.no_grad():
        for obs in stream.random_steps(30):
            lengths = obs["attention_mask"].sum(dim=1)
            expected += int(th.where(th.as_tensor(stream.starts), lengths, th.ones_like(lengths)).sum())
            cached_logits(model, cache, obs)
    # a new prompt may share its first tokens with the old one: never more than expected, hardly less
    assert 0.9 * expected <= cache.computed_tokens <= expected


def some_rows(stream, rows):
    """The observations of some rows, as narrow as they can be."""
    obs = {key: value[rows] for key, value in stream.tensors().items()}
    width = int(obs["attention_mask"].sum(dim=1).max())
    return {key: value[:, :width] for key, value in obs.items()}


def test_some_slots_equal_plain_passes_while_the_others_wait(folder, token_stream):
    model, stream = CachedLanguageModel(folder), token_stream(6, seed=4)
    cache = SlotCache(6, 24, th.device("cpu"), max_pass_tokens=12)
    sizes = set()
    with th.no_grad():
        for _ in range(40):
            rows = stream.rng.permutation(6)[: stream.rng.integers(1, 7)]
            sizes.add(len(rows))
            obs = some_rows(stream, rows)
            assert th.allclose(cached_logits(model, cache, obs, rows), plain_logits(folder, obs), atol=TOLERANCE)
            stream.append(stream.rng.integers(2, 64, 6), n_tokens=int(stream.rng.integers(1, 4)))
    assert sizes == {1, 2, 3, 4, 5, 6}


def test_slots_that_wait_cost_nothing_and_keep_their_prefix(lm_folder, token_stream):
    model, stream = CachedLanguageModel(lm_folder), token_stream(4, seed=6)
    cache = SlotCache(4, 24, th.device("cpu"))
    rows = np.array([2, 0])
    with th.no_grad():
        cached_logits(model, cache, stream.tensors())
        for _ in range(3):
            stream.lengths[rows] += 1
            before = cache.computed_tokens
            cached_logits(model, cache, some_rows(stream, rows), rows)
            assert cache.computed_tokens == before + 2
        before = cache.computed_tokens
        cached_logits(model, cache, stream.tensors())
    assert cache.computed_tokens == before + 4  # the last token of each


def test_a_prefill_that_is_too_long_for_one_pass_is_split(folder, token_stream):
    model, stream = CachedLanguageModel(folder), token_stream(7, seed=5)
    cache = SlotCache(7, 24, th.device("cpu"), max_pass_tokens=10)
    obs = stream.tensors()
    assert len(cache.plan(obs["input_ids"], obs["attention_mask"])) > 1
    cache.clear()
    with th.no_grad():
        for obs in stream.random_steps(10):
            assert th.allclose(cached_logits(model, cache, obs), plain_logits(folder, obs), atol=TOLERANCE)


def test_clearing_forgets_the_prefixes(lm_folder, token_stream):
    model, stream = CachedLanguageModel(lm_folder), token_stream(3)
    cache = SlotCache(3, 24, th.device("cpu"))
    obs = stream.tensors()
    with th.no_grad():
        cached_logits(model, cache, obs)
        once = cache.computed_tokens
        cached_logits(model, cache, obs)
        assert cache.computed_tokens == once + 3  # the last token of each row is always computed
        cache.clear()
        cached_logits(model, cache, obs)
        assert cache.computed_tokens == 2 * once + 3


def test_an_interrupted_pass_leaves_no_token_that_only_seems_cached(lm_folder, token_stream, monkeypatch):
    model, stream = CachedLanguageModel(lm_folder), token_stream(3)
    cache = SlotCache(3, 24, th.device("cpu"))
    obs = stream.tensors()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with th.no_grad():
        with monkeypatch.context() as patch:
            patch.setattr(model.body, "forward", interrupt)
            with pytest.raises(KeyboardInterrupt):
                cached_logits(model, cache, obs)
        assert th.allclose(cached_logits(model, cache, obs), plain_logits(lm_folder, obs), atol=TOLERANCE)
