"""From a trained policy to a folder that ``transformers`` loads, or ``peft``."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch as th
from torch import nn

from agents.atomic_files import fresh_folder
from agents.networks.lora import lora_config
from agents.policies.actor_critic import LMActorCriticPolicy
from lm_envs.errors import ConfigurationError
from lm_envs.models import load_language_model, load_tokenizer, smollm2
from lm_envs.models.quiet import quiet_transformers

Beside = Callable[[Path], None]
"""Writes further files into an export before it appears."""


def export_hf(model_or_policy: Any, folder: str | Path, beside: Beside | None = None) -> Path:
    """Save the trained language model and its tokenizer as ``transformers`` does.

    ``transformers.pipeline("text-generation", model=folder)`` loads it. Weights are saved in float32, whatever
    precision the policy computes in. The policy's temperature goes into ``generation_config.json``, with pure
    sampling (no top-k, no top-p): ``generate`` then writes as the policy does. With ``trainable="lora"`` the adapter is
    merged into the layers by peft, into unquantized ones even where the policy's are quantized. With ``"heads"`` the
    low-rank change is merged into the output layer, which is then no longer tied to the embeddings. Value heads and
    critics stay behind; so do the environment's candidates and masks: the export chooses among all tokens.

    Args:
        model_or_policy: An :class:`~agents.LMActorCriticPolicy`, or an algorithm that has one.
        folder: Where to save it. It appears complete or not at all; an earlier export there is replaced.
        beside: Writes further files into it, such as a model card.

    Returns:
        The folder.

    Raises:
        ConfigurationError: There is no language model policy, its actions are no tokens, or ``folder`` is something
            else than an export.
    """
    policy = exportable_policy(model_or_policy)
    target = Path(folder)
    _check_replaceable(target)
    lm = trained_language_model(policy)
    with fresh_folder(target) as fresh, quiet_transformers():
        lm.save_pretrained(fresh)
        load_tokenizer(policy.model_name).save_pretrained(fresh)
        if beside is not None:
            beside(fresh)
    return target


def export_adapter(model_or_policy: Any, folder: str | Path, beside: Beside | None = None) -> Path:
    """Save the adapter of ``trainable="lora"`` and the tokenizer as ``peft`` does: megabytes, without the base.

    ``peft.PeftModel.from_pretrained(base, folder)`` puts it into the base model.

    Args:
        model_or_policy: As for :func:`export_hf`, as the other arguments are.
        folder: Where to save it.
        beside: Writes further files into it.

    Returns:
        The folder.

    Raises:
        ConfigurationError: As for :func:`export_hf`, or something else than an adapter was trained.
    """
    policy = exportable_policy(model_or_policy)
    if policy.trainable != "lora":
        raise ConfigurationError(
            f"an adapter alone is what trainable='lora' trains; this policy has trainable={policy.trainable!r}. Export "
            "the whole model: leave --adapter-only out, or call export_hf."
        )
    target = Path(folder)
    _check_replaceable(target)
    base = copy.deepcopy(load_language_model(policy.model_name, dtype="float32"))
    adapted = with_adapter(base, policy)
    adapted.peft_config["default"].base_model_name_or_path = hub_name(policy.model_name)
    with fresh_folder(target) as fresh, quiet_transformers():
        adapted.save_pretrained(fresh, save_embedding_layers=False)  # "auto" would ask the hub
        load_tokenizer(policy.model_name).save_pretrained(fresh)
        if beside is not None:
            beside(fresh)
    return target


def exportable_policy(model_or_policy: Any) -> LMActorCriticPolicy:
    """The policy, if it is a language model that writes tokens.

    Raises:
        ConfigurationError: It is not.
    """
    policy = getattr(model_or_policy, "policy", model_or_policy)
    if not isinstance(policy, LMActorCriticPolicy):
        raise ConfigurationError(
            f"expected an LMActorCriticPolicy or an algorithm that has one; got {type(model_or_policy).__name__}."
        )
    if policy.actions_are == "choices":
        raise ConfigurationError(
            f"the policy's actions are {policy.action_space.n} choices, no tokens: what it learned is in a head that "  # type: ignore[attr-defined]
            "transformers does not know. Save it with model.save(path)."
        )
    return policy


def hub_name(model: str) -> str:
    """The id on the hub of what an alias stands for, where it has one; else ``model``."""
    return {"smollm2-135m": smollm2.HUB_ID}.get(model, model)


@th.no_grad()
def trained_language_model(policy: LMActorCriticPolicy) -> Any:
    """A new float32 ``PreTrainedModel`` on the CPU with the policy's trained weights, independent of the policy."""
    lm = copy.deepcopy(load_language_model(policy.model_name, dtype="float32"))
    if policy.trainable == "lora":
        lm = with_adapter(lm, policy).merge_and_unload()
    else:
        weights = dict(lm.named_parameters())
        for name, trained in policy.actor.own_parameters():
            weights[_original_name(name)].copy_(trained)
    if policy.adapter is not None:
        _merge_adapter(lm, policy)
    _describe_sampling(lm.generation_config, policy.temperature)
    return lm


@th.no_grad()
def with_adapter(lm: Any, policy: LMActorCriticPolicy) -> Any:
    """A ``peft.PeftModel`` around a float32 model of the same architecture, with the policy's adapter."""
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft calls something that transformers is about to rename
        adapted = get_peft_model(lm, lora_config(lm, policy.peft_config))
    weights = dict(adapted.named_parameters())
    for name, trained in policy.actor.own_parameters():
        weights[f"base_model.model.{_original_name(name)}"].copy_(trained)
    return adapted.eval()


def _original_name(name: str) -> str:
    """The name in the pretrained model of a parameter of :class:`~agents.networks.language_model.LanguageModel`."""
    part, _, rest = name.partition(".")
    return rest.replace("/", ".") if part == "master" else rest


def _merge_adapter(lm: Any, policy: LMActorCriticPolicy) -> None:
    assert policy.adapter is not None
    old = lm.get_output_embeddings()
    adapter = copy.deepcopy(policy.adapter).cpu()
    merged = nn.Linear(old.in_features, old.out_features, bias=old.bias is not None)
    merged.weight.copy_(adapter.merged(old.weight))
    if old.bias is not None:
        merged.bias.copy_(old.bias)
    lm.set_output_embeddings(merged)
    for config in (lm.config, lm.config.get_text_config()):
        config.tie_word_embeddings = False
    lm.all_tied_weights_keys = {}  # what save_pretrained would otherwise leave out


def _describe_sampling(generation: Any, temperature: float) -> None:
    generation.do_sample = True
    generation.temperature = float(temperature)
    generation.top_k = 0
    generation.top_p = 1.0


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "tokenizer_config.json").is_file()):
        raise ConfigurationError(
            f"{str(folder)!r} exists and is no exported model; it will not be replaced. Choose another folder."
        )
