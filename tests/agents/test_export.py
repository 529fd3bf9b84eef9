from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch as th
from stable_baselines3 import PPO

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.export import export_adapter, export_hf
from agents.networks.sequences import pack_observations
from agents.networks.trained_weights import trained_parameters
from lm_envs import load_language_model
from lm_envs.errors import ConfigurationError


def _trained_policy(model: str, **policy_kwargs: Any) -> LMActorCriticPolicy:
    """A policy whose trained weights differ from the pretrained ones, without training."""
    kwargs = {"model": model, "dataset": ["the cat", "a dog"] * 20, "reward": "distinct", "max_new_tokens": 8}
    venv = make_lm_vec_env(n_envs=2, seed=0, env_kwargs={**kwargs, "max_prompt_tokens": 8})
    model_kwargs = {"model": model, **policy_kwargs}
    ppo = PPO(
        LMActorCriticPolicy,
        venv,
        n_steps=8,
        batch_size=16,
        device="cpu",
        rollout_buffer_class=SequenceRolloutBuffer,
        policy_kwargs=model_kwargs,
        seed=0,
    )
    policy: Any = ppo.policy
    with th.no_grad():
        for parameter in trained_parameters(policy).values():
            parameter.add_(th.randn_like(parameter) * 0.05)
    return policy


@th.no_grad()
def _policy_logits(policy: LMActorCriticPolicy, ids: th.Tensor) -> th.Tensor:
    packed, order = pack_observations({"input_ids": ids, "attention_mask": th.ones_like(ids)})
    hidden = policy._adapted(packed.transition_hidden(policy.actor)[order])
    return policy.actor.output_layer.logits(hidden)


@th.no_grad()
def _exported_logits(folder: Path, ids: th.Tensor, dtype: th.dtype = th.float32) -> th.Tensor:
    from transformers import AutoModelForCausalLM

    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    return model(input_ids=ids).logits[:, -1].float()


IDS = th.randint(2, 64, (3, 9), generator=th.Generator().manual_seed(0))


LORA: dict[str, Any] = {"trainable": "lora", "peft_config": {"r": 4, "target_modules": "all-linear"}}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # which peft calls
@pytest.mark.parametrize("peft_config", [None, LORA["peft_config"]])
def test_an_adapter_is_merged_or_saved_alone(
    tmp_path: Path, family: str, random_lm_folder: Callable[..., str], peft_config: Any
) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = random_lm_folder(family)
    policy = _trained_policy(base, trainable="lora", peft_config=peft_config)
    expected = _policy_logits(policy, IDS)
    assert float((expected - _policy_logits(_fresh(policy), IDS)).abs().max()) > 0.05
    merged = export_hf(policy, tmp_path / "hf")
    th.testing.assert_close(_exported_logits(merged, IDS), expected, rtol=1e-4, atol=1e-4)
    th.testing.assert_close(_policy_logits(policy, IDS), expected, rtol=0, atol=0)

    adapter = export_adapter(policy, tmp_path / "adapter")
    assert not list(adapter.glob("model*")) and (adapter / "adapter_model.safetensors").is_file()
    loaded = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    with th.no_grad():
        th.testing.assert_close(loaded(input_ids=IDS).logits[:, -1], expected, rtol=1e-4, atol=1e-4)
    assert peft.PeftConfig.from_pretrained(adapter).base_model_name_or_path == base


def test_the_merged_weights_leave_the_shared_base_alone(tmp_path: Path, lm_folder: str) -> None:
    pytest.importorskip("peft")
    base = load_language_model(lm_folder)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    export_hf(_trained_policy(lm_folder, **LORA), tmp_path / "hf")
    after = base.state_dict()
    assert before.keys() == after.keys() and all(th.equal(weight, after[name]) for name, weight in before.items())


def test_without_an_adapter_there_is_none_to_export(tmp_path: Path, lm_folder: str) -> None:
    with pytest.raises(ConfigurationError, match="this policy has trainable='heads'"):
        export_adapter(_trained_policy(lm_folder, trainable="heads"), tmp_path / "adapter")
    assert not os.listdir(tmp_path)


def test_what_is_written_beside_appears_with_the_model_or_not_at_all(tmp_path: Path, lm_folder: str) -> None:
    policy = _trained_policy(lm_folder, trainable="heads")
    export_hf(policy, tmp_path / "hf", lambda fresh: (fresh / "README.md").write_text("a card") and None)
    assert (tmp_path / "hf" / "README.md").read_text() == "a card"

    def fail(fresh: Path) -> None:
        assert (fresh / "config.json").is_file()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        export_hf(policy, tmp_path / "hf", fail)
    assert os.listdir(tmp_path) == ["hf"] and (tmp_path / "hf" / "README.md").is_file()


def test_a_run_folder_is_not_replaced(tmp_path: Path, lm_folder: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="is no exported model"):
        export_hf(_trained_policy(lm_folder), tmp_path / "run")


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_the_exported_model_gives_the_policys_logits(
    tmp_path: Path, family: str, random_lm_folder: Callable[..., str], trainable: str
) -> None:
    policy = _trained_policy(random_lm_folder(family), trainable=trainable)
    folder = export_hf(policy, tmp_path / "hf")
    expected = _policy_logits(policy, IDS)
    th.testing.assert_close(_exported_logits(folder, IDS), expected, rtol=1e-4, atol=1e-4)
    untrained = _policy_logits(_fresh(policy), IDS)
    assert float((expected - untrained).abs().max()) > 0.05


def _fresh(policy: LMActorCriticPolicy) -> LMActorCriticPolicy:
    return LMActorCriticPolicy(**policy._get_constructor_parameters())


@pytest.mark.parametrize("trainable", ["all", "top:1"])
def test_bfloat16_exports_the_float32_weights_that_it_trains(tmp_path: Path, lm_folder: str, trainable: str) -> None:
    policy = _trained_policy(lm_folder, trainable=trainable, dtype="bfloat16")
    folder = export_hf(policy, tmp_path / "hf")
    expected = _policy_logits(policy, IDS)
    th.testing.assert_close(_exported_logits(folder, IDS, th.bfloat16), expected, rtol=0.02, atol=0.05)
    from transformers import AutoModelForCausalLM

    weights = dict(AutoModelForCausalLM.from_pretrained(folder).named_parameters())
    for name, master in policy.actor.own_parameters():
        th.testing.assert_close(weights[name.removeprefix("master.").replace("/", ".")].detach(), master.detach())


def test_bfloat16_heads_are_merged(tmp_path: Path, lm_folder: str) -> None:
    policy = _trained_policy(lm_folder, trainable="heads", dtype="bfloat16")
    exported = _exported_logits(export_hf(policy, tmp_path / "hf"), IDS, th.bfloat16)
    th.testing.assert_close(exported, _policy_logits(policy, IDS), rtol=0.05, atol=0.15)


def test_a_pipeline_writes_with_it_at_the_policys_temperature(tmp_path: Path, lm_folder: str) -> None:
    from transformers import GenerationConfig, pipeline

    policy = _trained_policy(lm_folder, temperature=0.7)
    folder = export_hf(policy, tmp_path / "hf")
    generate = pipeline("text-generation", model=str(folder), device="cpu")
    (result,) = generate("the cat", max_new_tokens=4)
    assert result["generated_text"].startswith("the cat")
    config = GenerationConfig.from_pretrained(folder)
    assert (config.temperature, config.do_sample, config.top_k, config.top_p) == (0.7, True, 0, 1.0)
    assert config.eos_token_id is not None


def test_the_policy_is_left_alone(tmp_path: Path, lm_folder: str) -> None:
    policy = _trained_policy(lm_folder, trainable="heads")
    before = _policy_logits(policy, IDS)
    export_hf(policy, tmp_path / "hf")
    th.testing.assert_close(_policy_logits(policy, IDS), before, rtol=0, atol=0)


def test_an_export_is_replaced_and_anything_else_is_not(
    tmp_path: Path, lm_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = _trained_policy(lm_folder)
    folder = export_hf(policy, tmp_path / "hf")
    first = (folder / "model.safetensors").read_bytes()
    with th.no_grad():
        policy.actor.lm.get_input_embeddings().weight.add_(1.0)
    export_hf(policy, folder)
    assert (folder / "model.safetensors").read_bytes() != first
    assert os.listdir(tmp_path) == ["hf"]
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="exists and is no exported model"):
        export_hf(policy, tmp_path / "papers")
    assert (tmp_path / "papers" / "thesis.txt").exists()


def test_something_without_a_language_model_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected an LMActorCriticPolicy.*got Linear"):
        export_hf(th.nn.Linear(1, 1), tmp_path / "hf")
