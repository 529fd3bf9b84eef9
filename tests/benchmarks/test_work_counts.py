from __future__ import annotations

from typing import Any

import pytest
import torch as th
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, LlamaConfig, LlamaForCausalLM

from benchmarks.work_counts import Work, WorkCounts
from benchmarks.workload import Workload
from lm_envs.errors import ConfigurationError

CONFIG = LlamaConfig(
    vocab_size=96,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=True,
    attn_implementation="eager",  # its products are counted one by one; fused kernels on a CPU are not
)
N, LENGTH = 5, 24


@pytest.fixture(scope="module")
def model() -> Any:
    return LlamaForCausalLM(CONFIG)


def counted(function: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def test_a_pass_has_the_counters_operations(model: Any) -> None:
    ids = th.zeros(N, LENGTH, dtype=th.long)
    with th.no_grad():
        flops = counted(lambda: model(ids, use_cache=False, logits_to_keep=7))
    assert WorkCounts(CONFIG).sequences(N, LENGTH, 7, causal=False).flops == pytest.approx(flops, rel=0.002)


def test_forward_and_backward_are_three_passes(model: Any) -> None:
    ids = th.zeros(N, LENGTH, dtype=th.long)
    flops = counted(lambda: model(ids, use_cache=False).logits.sum().backward())
    assert 3 * WorkCounts(CONFIG).sequences(N, LENGTH, LENGTH, causal=False).flops == pytest.approx(flops, rel=0.002)


def test_a_decode_step_has_the_counters_operations(model: Any) -> None:
    with th.no_grad():
        cache = model(th.zeros(N, LENGTH - 1, dtype=th.long), use_cache=True).past_key_values
        flops = counted(lambda: model(th.zeros(N, 1, dtype=th.long), past_key_values=cache))
    assert WorkCounts(CONFIG).decode_step(N, LENGTH).flops == pytest.approx(flops, rel=0.002)


def test_weights_are_those_of_the_model(model: Any) -> None:
    matrices = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    assert WorkCounts(CONFIG).weights == matrices


def test_causal_attention_is_half_of_it() -> None:
    counts = WorkCounts(CONFIG)
    full, causal = (counts.sequences(1, 1000, 0, causal=c).flops for c in (False, True))
    products = 2 * 1000 * (counts.weights - 96 * 64)
    assert (causal - products) / (full - products) == pytest.approx(0.5, abs=0.001)


def test_phases_add_up() -> None:
    counts, workload = WorkCounts(CONFIG), Workload("", 4, 3, n_envs=6, minibatch=2)
    steps = counts.decode_step(6, 5) + counts.decode_step(6, 6)
    assert counts.rollout(workload) == counts.sequences(6, 4, 1) + steps
    assert counts.scoring(workload) == counts.sequences(6, 7, 3)
    assert counts.update(workload).flops == pytest.approx(3 * counts.scoring(workload).flops)
    three_times = counts.sequences(2, 7, 3).bytes * 9 + 3 * 28 * counts.weights
    assert counts.update(workload).bytes == pytest.approx(three_times)


def test_decoding_reads_weights_and_cache_and_has_little_to_do_with_them() -> None:
    counts = WorkCounts(CONFIG)
    step = counts.decode_step(1, 1000)
    assert step.bytes > 4 * (counts.weights + 3 * 1000 * 2 * counts.keys)
    assert step.intensity < 1 < counts.sequences(16, 100, 100).intensity
    assert WorkCounts(CONFIG, item_bytes=2).decode_step(1, 1000) == Work(step.flops, step.bytes / 2)


def test_other_families_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="operations are counted for llama.*got.*'gpt2'"):
        WorkCounts(GPT2Config())
