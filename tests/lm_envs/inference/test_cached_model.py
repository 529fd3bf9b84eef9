"""A frozen cached model shares the process's weights."""

from __future__ import annotations

import gc

from lm_envs.inference.cached_model import CachedLanguageModel


def test_weights_are_shared_also_after_the_garbage_is_collected(lm_folder):
    first = CachedLanguageModel(lm_folder)
    gc.collect()
    second = CachedLanguageModel(lm_folder)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert a.data_ptr() == b.data_ptr()
    assert not any(name.startswith("_source") for name in first.state_dict())
