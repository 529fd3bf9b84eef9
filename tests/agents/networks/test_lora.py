"""Adapters: where they are, what is shared with the base, what they compute, and which are refused."""

from __future__ import annotations

import sys

import pytest
import torch as th

from agents.networks.encoder import Encoder
from agents.networks.language_model import LanguageModel
from agents.networks.lora import adapter_layers
from lm_envs import load_language_model
from lm_envs.errors import ConfigurationError, MissingDependencyError, UnknownNameError
from lm_envs.inference.slot_cache import SlotCache

pytest.importorskip("peft")

IDS = th.randint(2, 64, (3, 12), generator=th.Generator().manual_seed(0))
ALL_LINEAR = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}


def disturb(model, scale=0.1):
    with th.no_grad():
        for _, parameter in model.own_parameters():
            parameter.add_(scale * th.randn(parameter.shape, generator=th.Generator().manual_seed(1)))


@pytest.mark.parametrize("peft_config", [None, ALL_LINEAR])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_with_the_adapter_off_the_base_is_there_to_the_last_bit(random_lm_folder, family, dtype, peft_config):
    folder = random_lm_folder(family)
    base, model = LanguageModel(folder, "heads", dtype), LanguageModel(folder, "lora", dtype, peft_config=peft_config)
    with th.no_grad():
        assert th.equal(model(IDS), base(IDS))  # at first the adapter changes nothing
        disturb(model)
        assert not th.allclose(model(IDS), base(IDS), atol=0.05)
        with model.adapter_off():
            assert th.equal(model(IDS), base(IDS))
            assert th.equal(model.output_layer.logits(model(IDS)), base.output_layer.logits(base(IDS)))
        assert not th.allclose(model(IDS), base(IDS), atol=0.05)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_base_weights_are_shared_and_only_the_adapter_is_trained_in_float32(random_lm_folder, family, dtype):
    folder = random_lm_folder(family)
    shared = load_language_model(folder, dtype=dtype)
    model = LanguageModel(folder, "lora", dtype)
    own = dict(model.own_parameters())
    assert own and all("lora_" in name and parameter.dtype == th.float32 for name, parameter in own.items())
    assert all(parameter.requires_grad for parameter in own.values())
    others = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    assert {p.data_ptr() for p in others} == {p.data_ptr() for p in shared.parameters()}
    assert not any("lora_" in name for name, _ in shared.named_parameters())
    model(IDS).float().square().mean().backward()
    assert all(parameter.grad is not None for parameter in own.values())
    assert all(parameter.grad is None for parameter in others)


def test_the_slot_cache_gives_the_numbers_of_the_whole_pass(random_lm_folder, family):
    model = LanguageModel(random_lm_folder(family), "lora", peft_config=ALL_LINEAR)
    disturb(model)
    cache, lengths = SlotCache(3, 12, th.device("cpu")), th.tensor([3, 5, 8])
    with th.no_grad():
        expected = model(IDS)
        for _ in range(4):
            got = model.last_hidden(cache, IDS, th.arange(12) < lengths[:, None])
            assert th.allclose(got, expected[th.arange(3), lengths - 1], atol=1e-4)
            lengths = lengths + 1


def test_default_targets_are_those_of_the_paper_and_all_linear_leaves_out_the_output_layer(lm_folder):
    few = {name.split(".")[-4] for name, _ in LanguageModel(lm_folder, "lora").own_parameters()}
    all_linear = LanguageModel(lm_folder, "lora", peft_config=ALL_LINEAR)
    many = {name.split(".")[-4] for name, _ in all_linear.own_parameters()}
    assert few == {"q_proj", "v_proj"}
    assert many == {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
    ranks = {p.shape[0] for name, p in all_linear.own_parameters() if "lora_A" in name}
    assert ranks == {4} and {layer.scaling["default"] for layer in adapter_layers(all_linear)} == {2.0}


def test_two_models_hold_the_base_once_and_an_adapter_each(lm_folder):
    first, second = LanguageModel(lm_folder, "lora"), LanguageModel(lm_folder, "lora")
    second.share_frozen(first)
    frozen = [{id(p) for p in model.parameters() if not p.requires_grad} for model in (first, second)]
    assert frozen[0] == frozen[1]
    assert not {id(p) for _, p in first.own_parameters()} & {id(p) for _, p in second.own_parameters()}


def test_the_version_tells_on_from_off(lm_folder):
    model = LanguageModel(lm_folder, "lora")
    on = model.version()
    with model.adapter_off():
        off = model.version()
        with model.adapter_off():
            assert model.version() == off
        assert model.adapter_is_off and model.version() == off
    assert on == model.version() != off and not model.adapter_is_off
    assert all(parameter.requires_grad for _, parameter in model.own_parameters())


def test_a_model_whose_own_weights_are_trained_has_nothing_to_switch_off(lm_folder):
    with pytest.raises(ConfigurationError, match="no adapter that could be switched off"), \
         LanguageModel(lm_folder, "top:1").adapter_off():  # fmt: skip
        pass
    with LanguageModel(lm_folder, "heads").adapter_off():
        pass


def test_an_encoder_takes_an_adapter_too(bert_folder):
    import numpy as np

    lengths = np.array([12, 9, 4])
    base, model = Encoder(bert_folder, "heads"), Encoder(bert_folder, "lora")
    disturb(model)
    with th.no_grad(), model.adapter_off():
        assert th.equal(model(IDS, lengths), base(IDS, lengths))
    with th.no_grad():
        assert not th.allclose(model(IDS, lengths), base(IDS, lengths), atol=0.01)
    assert {name.split(".")[-4] for name, _ in model.own_parameters()} == {"query", "value"}


@pytest.mark.parametrize(
    ("peft_config", "error", "match"),
    [
        ({"r": 0}, ConfigurationError, "rank, must be an integer of at least 1; got 0"),
        ({"r": True}, ConfigurationError, "rank, must be an integer"),
        ({"rank": 4}, UnknownNameError, "unknown key of peft_config 'rank'"),
        ({"use_dora": True}, UnknownNameError, "unknown key of peft_config 'use_dora'"),
        ({"lora_dropout": 0.1}, ConfigurationError, "lora_dropout must be 0; got 0.1.*first ratio"),
        ({"bias": "all"}, ConfigurationError, "bias must be 'none'; got 'all'"),
        ({"init_lora_weights": "pissa"}, ConfigurationError, "got 'pissa', which would change the base"),
        ({"task_type": "SEQ_CLS"}, ConfigurationError, "task_type must be 'CAUSAL_LM'"),
        ({"target_modules": ["query"]}, ConfigurationError, "does not fit the model.*Its linear layers are.*q_proj"),
        ({"target_modules": ["lm_head"]}, ConfigurationError, "between the embeddings and the output layer"),
        ({"target_modules": ["embed_tokens"]}, ConfigurationError, "between the embeddings and the output layer"),
        ({"layers_to_transform": [0], "target_modules": "all-linear", "r": "8"}, ConfigurationError, "got '8'"),
        ([("r", 8)], ConfigurationError, "plain dict of arguments.*got list"),
    ],
)
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")  # said before the adapter is refused
def test_adapters_that_cannot_work_are_refused(lm_folder, peft_config, error, match):
    with pytest.raises(error, match=match):
        LanguageModel(lm_folder, "lora", peft_config=peft_config)


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_an_adapters_arguments_without_adapter_are_refused(lm_folder, bert_folder, trainable):
    for model in (LanguageModel, Encoder):
        with pytest.raises(ConfigurationError, match="peft_config configures the adapter of trainable='lora'"):
            model(lm_folder if model is LanguageModel else bert_folder, trainable, peft_config={"r": 4})


def test_without_peft_the_extra_is_named(lm_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"lm-envs\[lora\]"):
        LanguageModel(lm_folder, "lora")
