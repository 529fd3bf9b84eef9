"""From a trained policy to a folder that ``transformers`` loads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch as th
from torch import nn

from agents.atomic_files import fresh_folder
from agents.policies.actor_critic import LMActorCriticPolicy
from lm_envs.errors import ConfigurationError
from lm_envs.models import load_language_model, load_tokenizer
from lm_envs.models.quiet import quiet_transformers


def export_hf(model_or_policy: Any, folder: str | Path) -> Path:
    """Save the trained language model and its tokenizer as ``transformers`` does.

    ``transformers.pipeline("text-generation", model=folder)`` loads it. Weights are saved in float32, whatever
    precision the policy computes in. The policy's temperature goes into ``generation_config.json``, with pure
    sampling (no top-k, no top-p): ``generate`` then writes as the policy does. With ``trainable="heads"`` the
    low-rank change is merged into the output layer, which is then no longer tied to the embeddings. Value heads and
    critics stay behind; so do the environment's candidates and masks: the export chooses among all tokens.

    Args:
        model_or_policy: An :class:`~agents.LMActorCriticPolicy`, or an algorithm that has one.
        folder: Where to save it. It appears complete or not at all; an earlier export there is replaced.

    Returns:
        The folder.

    Raises:
        ConfigurationError: There is no language model policy, its actions are no tokens, or ``folder`` is something
            else than an export.
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
    target = Path(folder)
    _check_replaceable(target)
    lm = trained_language_model(policy)
    with fresh_folder(target) as fresh, quiet_transformers():
        lm.save_pretrained(fresh)
        load_tokenizer(policy.model_name).save_pretrained(fresh)
    return target


@th.no_grad()
def trained_language_model(policy: LMActorCriticPolicy) -> Any:
    """A new float32 ``PreTrainedModel`` on the CPU with the policy's trained weights, independent of the policy."""
    lm = copy.deepcopy(load_language_model(policy.model_name, dtype="float32"))
    weights = dict(lm.named_parameters())
    for name, trained in policy.actor.own_parameters():
        weights[_original_name(name)].copy_(trained)
    if policy.adapter is not None:
        _merge_adapter(lm, policy)
    _describe_sampling(lm.generation_config, policy.temperature)
    return lm


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
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "config.json").is_file()):
        raise ConfigurationError(
            f"{str(folder)!r} exists and is no exported model; it will not be replaced. Choose another folder."
        )
