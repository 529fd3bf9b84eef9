"""On a GPU: a recorded step gives the numbers of the function, with new inputs and weights written in place."""

from __future__ import annotations

import pytest
import torch as th

from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.inference.recorded_step import RecordedStep
from lm_envs.inference.sampling import draw_by_weight
from lm_envs.inference.slot_cache import SlotCache
from lm_envs.inference.static_decoding import StaticDecoding
from lm_envs.inference.transfers import HostCopy, to_device, to_device_together

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not th.cuda.is_available(), reason="needs a CUDA device")]


def bits(hidden, inputs):
    return hidden[0].float().view(th.int32).T


@th.no_grad()
def test_inputs_and_weights_may_change_in_place():
    weight = th.randn(4, 4, device="cuda")
    recorded = RecordedStep(lambda inputs: inputs["x"] @ weight, {"x": th.randn(3, 4, device="cuda")})
    for _ in range(3):
        x = th.randn(3, 4, device="cuda")
        assert th.allclose(recorded({"x": x}), x @ weight)
        weight.mul_(1.5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.1)])
@th.no_grad()
def test_recorded_decoding_equals_planned_passes(random_lm_folder, family, token_stream, dtype, tolerance):
    model = CachedLanguageModel(random_lm_folder(family), dtype=dtype, device="cuda")
    device = model.output_layer.weight.device
    decoding, planned = StaticDecoding([model], 5, 150, device, record=True), SlotCache(5, 150, device)
    stream = token_stream(5, max_tokens=150)
    for obs in stream.random_steps(80):
        obs = {name: value.to(device) for name, value in obs.items()}
        hidden = decoding.results(obs, bits).T.contiguous().view(th.float32)
        expected = model.last_hidden(planned, obs["input_ids"], obs["attention_mask"]).float().cpu()
        assert (hidden - expected).abs().max() < tolerance * expected.abs().max()
    assert len(decoding._recordings) == len(decoding.steps)


@th.no_grad()
def test_a_step_waits_for_nothing_before_its_results(lm_folder, token_stream):
    model = CachedLanguageModel(lm_folder, device="cuda")
    device = model.output_layer.weight.device
    decoding, stream = StaticDecoding([model], 3, 24, device, record=True), token_stream(3)
    stream.lengths[:] = 5
    for number in range(6):
        obs = {name: value.to(device) for name, value in stream.tensors().items()}
        if number >= 2:  # the graph is there
            th.cuda.set_sync_debug_mode("error")
        try:
            decoding._run(obs, bits, 24, ()) if number >= 2 else decoding.results(obs, bits)
        finally:
            th.cuda.set_sync_debug_mode("default")
        stream.ids[:, stream.lengths[0]] = number + 2
        stream.lengths += 1


def test_transfers_keep_the_numbers():
    arrays = [th.arange(5).numpy(), th.arange(6).view(2, 3).numpy()]
    for tensor, array in zip(to_device_together(arrays, "cuda"), arrays, strict=True):
        assert tensor.device.type == "cuda" and (tensor.cpu().numpy() == array).all()
    bring = HostCopy()
    for _ in range(3):
        tensor = th.randn(4, 5, device="cuda")
        assert th.equal(bring(tensor), tensor.cpu())
    assert to_device(arrays[0], "cuda").tolist() == arrays[0].tolist()


def test_tokens_of_probability_zero_are_never_drawn():
    weights = th.rand(512, 50_000, device="cuda") * (th.rand(512, 50_000, device="cuda") < 0.01)
    weights[:, 0] = 1e-3
    for uniform in (0.0, 0.5, 1.0 - 2**-24):
        columns, _ = draw_by_weight(weights, th.full((512, 1), uniform, device="cuda"))
        assert (weights.gather(1, columns) > 0).all()
