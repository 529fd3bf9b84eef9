"""Static decode steps give the numbers of plain passes, whatever the rows do, and never wait for a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from transformers import AutoConfig, AutoModelForCausalLM

from lm_envs import load_language_model
from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.inference.slot_cache import SlotCache
from lm_envs.inference.static_decoding import StaticDecoding, WaitsForDevice, rounded_span

CPU = th.device("cpu")


def bits(hidden, inputs):
    """A head that only hands over the hidden states, as the bits of float32."""
    return hidden[0].float().view(th.int32).T


class Steps:
    """Hidden states by static steps, and by the passes that the host plans, beside each other."""

    def __init__(self, folder, n_slots, capacity=24, dtype="float32"):
        self.model = CachedLanguageModel(folder, dtype=dtype)
        self.decoding = StaticDecoding([self.model], n_slots, capacity, CPU, record=False)
        self.planned = SlotCache(n_slots, capacity, CPU)

    @th.no_grad()
    def static(self, obs):
        return self.decoding.results(obs, bits).T.contiguous().view(th.float32)

    @th.no_grad()
    def eager(self, obs):
        return self.model.last_hidden(self.planned, obs["input_ids"], obs["attention_mask"]).float()

    def check_caches(self, obs, atol):
        """The keys and values of all tokens of the observations."""
        lengths = obs["attention_mask"].sum(dim=1)
        for layer, (keys, values) in self.planned._layers.items():
            for mine, others in zip(self.decoding.caches[0]._layers[layer], (keys, values), strict=True):
                for slot, length in enumerate(lengths):
                    assert th.allclose(mine[slot, :, :length].float(), others[slot, :, :length].float(), atol=atol)


@th.no_grad()
def plain_hidden(folder, obs):
    """transformers' own forward pass, each row by itself without padding."""
    body = load_language_model(folder).base_model
    rows = zip(obs["input_ids"], obs["attention_mask"], strict=True)
    prefixes = [ids[: int(mask.sum())].long()[None] for ids, mask in rows]
    return th.stack([body(input_ids=prefix, use_cache=False).last_hidden_state[0, -1] for prefix in prefixes])


@pytest.fixture
def folder(random_lm_folder, family):
    return random_lm_folder(family)


@pytest.fixture(scope="module", params=["mistral", "gemma2"])
def windowed_folder(request, tmp_path_factory, small_tokenizer):
    """Models that see their last eight tokens only; Gemma 2 in every other layer, and with bounded scores."""
    config = AutoConfig.for_model(
        request.param, vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=256, sliding_window=8, bos_token_id=1,
        eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp(request.param)
    with th.random.fork_rng(devices=[]):
        th.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                th.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    small_tokenizer.save_pretrained(folder)
    return str(folder)


def check_ragged_episodes(folder, stream, n_steps=40):
    steps, restarts = Steps(folder, len(stream.ids)), 0
    for number, obs in enumerate(stream.random_steps(n_steps)):
        restarts += int(stream.starts.sum())
        hidden = steps.static(obs)
        assert th.allclose(hidden, steps.eager(obs), atol=1e-4)
        if number % 4 == 0:
            assert th.allclose(hidden, plain_hidden(folder, obs), atol=1e-4)
            steps.check_caches(obs, atol=1e-4)
    assert restarts > 10  # rows that began anew went beside rows that went on
    assert sum(steps.decoding.steps.values()) == n_steps - 1
    assert steps.decoding.caches[0].computed_tokens <= 1.1 * steps.planned.computed_tokens


def test_ragged_episodes_equal_planned_and_plain_passes(folder, token_stream):
    check_ragged_episodes(folder, token_stream(5))


def test_windows_and_bounded_scores_equal_planned_and_plain_passes(windowed_folder, token_stream):
    check_ragged_episodes(windowed_folder, token_stream(5, seed=7))


def test_bfloat16_equals_planned_passes_within_its_rounding(folder, token_stream):
    steps = Steps(folder, 5, dtype="bfloat16")
    for obs in token_stream(5, seed=1).random_steps(25):
        hidden, expected = steps.static(obs), steps.eager(obs)
        assert (hidden - expected).abs().max() < 0.05 * expected.abs().max()


def test_several_tokens_at_once_and_repeated_observations(folder, token_stream):
    steps, stream = Steps(folder, 4), token_stream(4, seed=3)
    for number in range(15):
        obs = stream.tensors()
        for _ in range(1 + number % 2):
            assert th.allclose(steps.static(obs), steps.eager(obs), atol=1e-4)
        stream.append(stream.rng.integers(2, 64, 4), n_tokens=int(stream.rng.integers(1, 4)))


@pytest.mark.parametrize("change", ["an early token", "the last token", "shorter", "all but the first"])
def test_a_changed_past_is_computed_again(lm_folder, token_stream, change):
    steps, stream = Steps(lm_folder, 4), token_stream(4, seed=2)
    stream.lengths[:] = 8
    for number in range(9):
        if number in (3, 6):
            stream.lengths[2] -= 3 * (change == "shorter")
            places = {"an early token": [1], "the last token": [-1], "shorter": [], "all but the first": range(1, 9)}
            for place in places[change]:
                stream.ids[2, place % stream.lengths[2]] = stream.rng.integers(2, 64)
        obs = stream.tensors()
        assert th.allclose(steps.static(obs), steps.eager(obs), atol=1e-4)
        stream.ids[np.arange(4), stream.lengths] = stream.rng.integers(2, 64, 4)
        stream.lengths += 1


def test_spans_grow_up_to_the_capacity(lm_folder, token_stream):
    stream = token_stream(3, max_tokens=150)
    steps = Steps(lm_folder, 3, capacity=150)
    stream.lengths[:] = [60, 61, 58]
    stream.ids[:, :70] = stream.rng.integers(2, 64, (3, 70))
    while stream.lengths.max() <= 150:
        obs = stream.tensors()
        hidden = steps.static(obs)
        if stream.lengths.max() % 16 in (0, 1) or stream.lengths.max() > 148:
            assert th.allclose(hidden, plain_hidden(lm_folder, obs), atol=1e-4)
        stream.ids[np.arange(3), np.minimum(stream.lengths, 149)] = stream.rng.integers(2, 64, 3)
        stream.lengths += 1
    assert steps.decoding.steps == {64: 3, 128: 64, 150: 22}
    stream.ids = stream.rng.integers(2, 64, (3, 150)).astype(np.int32)  # full rows cannot append: they begin anew
    for stream.lengths in np.array([[150, 150, 5], [3, 60, 6], [4, 61, 7]]):
        obs = stream.tensors()
        assert th.allclose(steps.static(obs), plain_hidden(lm_folder, obs), atol=1e-4)
    assert steps.decoding.steps == {64: 4, 128: 64, 150: 24}  # short rows are read over a short span again


def test_clearing_forgets_what_the_device_has_seen(lm_folder, token_stream):
    steps, stream = Steps(lm_folder, 3), token_stream(3)
    for obs in stream.random_steps(3):
        steps.static(obs)
    with th.no_grad():
        for parameter in steps.model.parameters():
            parameter.data = parameter.data * 1.1
    steps.decoding.clear()
    steps.planned.clear()
    obs = stream.tensors()
    assert th.allclose(steps.static(obs), steps.eager(obs), atol=1e-4)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_interrupted_step_leaves_no_token_that_only_seems_cached(lm_folder, token_stream, monkeypatch, at):
    steps, stream, calls = Steps(lm_folder, 3), token_stream(3), []
    run = CachedLanguageModel.run_pass

    def interrupt(self, slots):
        calls.append(slots)
        if len(calls) == at:
            raise KeyboardInterrupt
        return run(self, slots)

    stream.lengths[:] = 5
    with monkeypatch.context() as patch:
        patch.setattr(CachedLanguageModel, "run_pass", interrupt)
        with pytest.raises(KeyboardInterrupt):
            for _ in range(4):
                steps.static(stream.tensors())
                stream.ids[np.arange(3), stream.lengths] = 7
                stream.lengths += 1
    for _ in range(3):
        stream.ids[np.arange(3), stream.lengths] = 9
        stream.lengths += 1
        obs = stream.tensors()
        assert th.allclose(steps.static(obs), steps.eager(obs), atol=1e-4)


def test_two_models_read_the_same_rows(lm_folder, random_lm_folder, token_stream):
    models = [CachedLanguageModel(lm_folder), CachedLanguageModel(random_lm_folder("llama", seed=1))]
    decoding = StaticDecoding(models, 4, 24, CPU, record=False)
    caches = [SlotCache(4, 24, CPU) for _ in models]

    def both(hidden, inputs):
        return th.cat([part.view(th.int32).T for part in hidden])

    with th.no_grad():
        for obs in token_stream(4).random_steps(20):
            parts = decoding.results(obs, both).view(2, -1, 4)
            for part, model, cache in zip(parts, models, caches, strict=True):
                expected = model.last_hidden(cache, obs["input_ids"], obs["attention_mask"])
                assert th.allclose(part.T.contiguous().view(th.float32), expected, atol=1e-4)


def test_a_head_that_waits_is_refused_and_named(lm_folder, token_stream):
    steps, stream = Steps(lm_folder, 3), token_stream(3)

    def head(hidden, inputs):
        return bits([hidden[0] * hidden[0].sum().item()], inputs)

    with th.no_grad(), pytest.raises(WaitsForDevice, match="_local_scalar_dense"):
        for obs in stream.random_steps(2):
            steps.decoding.results(obs, head)


def test_a_step_can_run_on_a_device_without_numbers(lm_folder, random_lm, family):
    """On the meta device nothing can be read, and a tensor that was left on the host would not fit."""
    model, meta = CachedLanguageModel(lm_folder), th.device("meta")
    model.body = random_lm(family).to(meta).base_model
    model.body.set_attn_implementation("lm_envs_slots")
    model.body.warn_if_padding_and_no_attention_mask = model.lm.base_model.warn_if_padding_and_no_attention_mask
    decoding = StaticDecoding([model], 3, 24, meta, record=False)
    inputs = {name: th.zeros((3, 24), dtype=th.int32, device=meta) for name in ("input_ids", "attention_mask")}
    with th.no_grad():
        result = decoding._run(inputs, bits, 16, ())
    assert result.shape == (33, 3) and result.device == meta


def test_spans_are_few_and_little_is_read_in_vain():
    spans = [rounded_span(n, 2048) for n in range(1, 2049)]
    assert all(span >= n for n, span in enumerate(spans, 1))
    assert len(set(spans)) == 16
    assert max(span / n for n, span in enumerate(spans, 1) if n > 512) < 1.25
    assert {span % 64 for span in spans} == {0}
    assert rounded_span(70, 100) == 100
    assert rounded_span(101, 100) == 100
