"""What of a language model is trained, shared, and computed in which precision."""

from __future__ import annotations

import gc

import pytest
import torch as th
from transformers import AutoConfig, AutoModelForCausalLM, Gemma2Config, MistralConfig

from agents.networks.language_model import LanguageModel
from lm_envs import load_language_model
from lm_envs.errors import ConfigurationError, ModelError
from lm_envs.inference.slot_cache import SlotCache


def test_packed_pass_equals_the_plain_one(random_lm_folder, family):
    folder = random_lm_folder(family)
    ids = th.randint(2, 64, (3, 12))
    with th.no_grad():
        expected = load_language_model(folder)(input_ids=ids, use_cache=False).logits
        model = LanguageModel(folder)
        assert th.allclose(model.output_layer.logits(model(ids).flatten(0, 1)).view(3, 12, -1), expected, atol=1e-4)


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_frozen_weights_are_shared_and_trained_ones_are_not(lm_folder, trainable):
    shared = load_language_model(lm_folder)
    model = LanguageModel(lm_folder, trainable)
    own = {name.removeprefix("lm.") for name, _ in model.own_parameters()}
    for (name, parameter), original in zip(model.lm.named_parameters(), shared.parameters(), strict=True):
        assert (parameter.data_ptr() == original.data_ptr()) == (name not in own)
        assert parameter.requires_grad == (name in own)
    assert not any(parameter.requires_grad for parameter in shared.parameters())


@pytest.mark.parametrize(("trainable", "shares"), [("all", False), ("top:1", True), ("heads", True)])
def test_the_original_stays_as_long_as_weights_of_it_are_shared(random_lm_folder, trainable, shares):
    folder = random_lm_folder("llama", seed=11)  # a model that no other test holds
    model = LanguageModel(folder, trainable)
    gc.collect()
    originals = {parameter.data_ptr() for parameter in load_language_model(folder).parameters()}
    frozen = [p.data_ptr() for p in model.lm.parameters() if not p.requires_grad]
    assert bool(frozen) == shares and originals.issuperset(frozen)
    assert bool(model._source) == shares  # else the original would stay in memory beside its trained copy


def test_top_layers_are_the_last_ones_and_the_final_norm(random_lm_folder, family):
    model = LanguageModel(random_lm_folder(family), "top:1")
    names = [name for name, _ in model.own_parameters()]
    assert any(".1." in name for name in names)
    assert not any(".0." in name for name in names)
    outside = [name for name in names if ".1." not in name]
    assert outside and all("norm" in name or "ln_f" in name for name in outside)


def test_no_gradient_is_computed_below_the_trained_layers(lm_folder):
    model = LanguageModel(lm_folder, "top:1")
    inputs = []
    layers = model.body.layers
    for layer in layers:
        layer.register_forward_pre_hook(
            lambda module, args, kwargs: inputs.append(args[0].requires_grad), with_kwargs=True
        )
    model(th.randint(2, 64, (2, 5))).sum().backward()
    assert inputs == [False, False]
    assert all(p.grad is None for p in layers[0].parameters())
    assert all(p.grad is not None for p in layers[1].parameters())


@pytest.mark.parametrize(
    ("trainable", "match"),
    [("top:3", "2 layers"), ("top:0", "2 layers"), ("some", "'all', 'top:N'"), ("top:", "'all', 'top:N'")],
)
def test_impossible_trainable_is_refused(lm_folder, trainable, match):
    with pytest.raises(ConfigurationError, match=match):
        LanguageModel(lm_folder, trainable)


def test_unknown_dtype_is_refused(lm_folder):
    with pytest.raises(ConfigurationError, match="float32, bfloat16"):
        LanguageModel(lm_folder, dtype="float8")


def test_training_mode_does_not_switch_dropout_on(lm_folder):
    model = LanguageModel(lm_folder)
    model.train()
    assert not model.training and not any(module.training for module in model.modules())


def test_bfloat16_keeps_float32_weights_and_learns_in_small_steps(lm_folder):
    model = LanguageModel(lm_folder, dtype="bfloat16")
    own = [parameter for _, parameter in model.own_parameters()]
    assert all(parameter.dtype == th.float32 for parameter in own)
    ids = th.randint(2, 64, (2, 6))
    assert model(ids).dtype == th.bfloat16
    before = [parameter.detach().clone() for parameter in own]
    optimizer = th.optim.Adam(own, lr=1e-6)
    for _ in range(3):
        optimizer.zero_grad()
        model(ids).float().square().mean().backward()
        assert all(parameter.grad is None for parameter in model.lm.parameters())
        optimizer.step()
    moved = [float((a - b.detach()).abs().max()) for a, b in zip(before, own, strict=True) if a.ndim > 1]
    assert all(0 < change < 1e-5 for change in moved)


def test_bfloat16_copies_follow_their_float32_weights(lm_folder):
    model = LanguageModel(lm_folder, dtype="bfloat16")
    ids = th.randint(2, 64, (1, 6))
    with th.no_grad():
        before = model(ids).float()
        for _, parameter in model.own_parameters():
            parameter.mul_(1.5)
        assert not th.allclose(model(ids).float(), before)


@pytest.mark.parametrize("config_class", [Gemma2Config, MistralConfig])
def test_sliding_windows_and_capped_scores(tmp_path, config_class):
    config = config_class(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, sliding_window=4, max_position_embeddings=64,
        bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    original = AutoModelForCausalLM.from_config(config).eval()
    for parameter in original.parameters():
        if parameter.ndim > 1:
            th.nn.init.normal_(parameter, std=0.3)
    original.save_pretrained(tmp_path / "lm")
    ids, lengths = th.randint(2, 64, (3, 16)), th.tensor([7, 9, 12])
    model, cache = LanguageModel(str(tmp_path / "lm")), SlotCache(3, 16, th.device("cpu"))
    with th.no_grad():
        expected = original(input_ids=ids, use_cache=False).logits
        assert th.allclose(model.output_layer.logits(model(ids).flatten(0, 1)).view(3, 16, -1), expected, atol=1e-4)
        for _ in range(3):
            got = model.output_layer.logits(model.last_hidden(cache, ids, th.arange(16) < lengths[:, None]))
            assert th.allclose(got, expected[th.arange(3), lengths - 1], atol=1e-4)
            lengths = lengths + 1


def test_an_architecture_that_does_something_else_after_the_output_layer_is_refused(lm_folder, monkeypatch):
    forward = type(load_language_model(lm_folder)).forward

    def doubled(self, *args, **kwargs):
        output = forward(self, *args, **kwargs)
        output.logits = output.logits * 2
        return output

    monkeypatch.setattr(type(load_language_model(lm_folder)), "forward", doubled)
    with pytest.raises(ModelError, match="gives other logits"):
        LanguageModel(lm_folder)


def test_the_config_on_disk_keeps_its_attention_implementation(lm_folder):
    LanguageModel(lm_folder)
    assert load_language_model(lm_folder).config._attn_implementation == "sdpa"
    assert AutoConfig.from_pretrained(lm_folder).model_type == "llama"
