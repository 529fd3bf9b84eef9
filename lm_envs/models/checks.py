"""What a model has to be: causal, complete, finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def check_causal(name: str, config: PreTrainedConfig, trust_remote_code: bool = False) -> None:
    """Check that the configuration is a decoder's, before any weight is read.

    Raises:
        ModelError: It is an encoder, an encoder-decoder, or something else without next-token logits.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if trust_remote_code and "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise _unfit(name, config, "an encoder-decoder")
    if is_encoder(config):
        raise _unfit(
            name,
            config,
            "an encoder: it sees the whole text at once and cannot continue one, only label it (Tagging-v0) or choose "
            "(QA-v0 with actions='choice')",
        )
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise _unfit(name, config, "none that predicts the next token")


def is_encoder(config: PreTrainedConfig) -> bool:
    """Whether the configuration is that of a model that sees a whole text at once, such as BERT."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    decodes = getattr(config, "is_decoder", False) or getattr(config, "is_encoder_decoder", False)
    return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not decodes


def check_one_part(name: str, config: PreTrainedConfig) -> None:
    """Check that the configuration is not one of an encoder with a decoder, before any weight is read.

    Raises:
        ModelError: It is.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"expected a model that gives a hidden state for each token, got {name!r} ({config.model_type}), which is "
            "an encoder-decoder. Pass a sentence encoder, for example 'sentence-transformers/all-MiniLM-L6-v2'"
        )


def _unfit(name: str, config: PreTrainedConfig, what: str) -> ModelError:
    architecture = ", ".join(getattr(config, "architectures", None) or [config.model_type])
    return ModelError(
        f"expected a causal language model (decoder only), got {name!r} ({architecture}), which is {what}. "
        "Pass a model such as 'tiny', 'smollm2-135m', or one of the families Llama, GPT-2, Qwen2, OPT, Gemma"
    )


def check_complete(name: str, report: Mapping[str, Any], unused: str | None = None) -> None:
    """Check that the file had every weight; transformers makes up the missing ones, with a warning only.

    Args:
        name: The model's name, for the message.
        report: The loading info that ``from_pretrained`` returns.
        unused: Beginning of the names of weights that may be missing because nobody uses them.

    Raises:
        ModelError: Weights are missing or have another shape.
    """
    missing = [*report.get("missing_keys", ()), *(key[0] for key in report.get("mismatched_keys", ()))]
    if unused is not None:
        missing = [key for key in missing if not key.startswith(unused)]
    if missing:
        listed = ", ".join(sorted(missing)[:3]) + (", ..." if len(missing) > 3 else "")
        raise ModelError(
            f"the weights of {name!r} are incomplete: {len(missing)} of the tensors in config.json "
            f"are missing ({listed}). Save or download the model again, or fix the configuration"
        )


def check_finite(name: str, model: PreTrainedModel) -> None:
    """Check that no weight is NaN or infinite.

    Raises:
        ModelError: One is.
    """
    import torch

    for weight_name, weight in model.named_parameters():
        if weight.numel() and not bool(torch.stack(torch.aminmax(weight.detach())).isfinite().all()):
            raise ModelError(
                f"the weights of {name!r} are damaged: {weight_name} has NaN or infinite numbers. "
                "Save or download the model again (a training run that diverged leaves such weights)"
            )
