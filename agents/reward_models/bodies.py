"""The model under a reward model: a pretrained body with a new output that gives one number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch as th
from torch import nn

from lm_envs.errors import ModelError
from lm_envs.inference.fast_linear import speed_up
from lm_envs.models import checks, load_tokenizer, resolve
from lm_envs.models.loading_errors import reported
from lm_envs.models.quiet import quiet_transformers
from lm_envs.models.reward_model import ScoreForm, check_padding

_POOLING = ("pooler.", "pre_classifier.", "classifier.", "score.", "classification_head.")


def load_body(name: str, device: th.device) -> tuple[Any, Any]:
    """Load a pretrained model as a sequence classification model with one output, in float32, to be trained.

    The output's weights are new, drawn from torch's generator, unless the model is a reward model already; so is a
    pooling layer that the body lacks.

    Args:
        name: An alias (``"tiny"``, ``"minilm"``), a Hugging Face id, or a folder: an encoder, a causal language model,
            a classifier or a reward model.
        device: Where the weights go.

    Returns:
        The model, in evaluation mode, and its tokenizer.

    Raises:
        ModelError: There is no such model, transformers knows no sequence classification for it, its weights are
            incomplete or not finite, or its tokenizer has no token to pad with.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    source, tokenizer = resolve(name), load_tokenizer(name)
    with quiet_transformers():
        with reported("configuration", name, source):
            config = AutoConfig.from_pretrained(source, num_labels=1)
        _check_classifies(name, config)
        check_padding(name, config, tokenizer)
        with reported("weights", name, source):
            loaded: Any = AutoModelForSequenceClassification.from_pretrained(
                source, config=config, dtype=th.float32, ignore_mismatched_sizes=True, output_loading_info=True
            )
    model, report = loaded
    checks.check_complete(name, _of_the_body(report))
    checks.check_finite(name, model)
    model.config.problem_type = None
    ScoreForm("pair" if checks.is_encoder(config) else "joined").write_to(model.config)
    if device.type == "cpu":
        speed_up(model)
    return model.to(device).eval(), tokenizer


def _check_classifies(name: str, config: Any) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    if config.model_type not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES or config.is_encoder_decoder:
        raise ModelError(
            f"expected a model that transformers can make a sequence classification model of, got {name!r} "
            f"({config.model_type}). Take an encoder such as BERT ('minilm') or a causal language model ('tiny')"
        )


def _of_the_body(report: dict[str, Any]) -> dict[str, list[Any]]:
    """What is missing of the body's own weights."""

    def own(names: Iterable[Any]) -> list[Any]:
        keys = [(item, item if isinstance(item, str) else item[0]) for item in names]
        return [item for item, key in keys if not any(f".{part}" in f".{key}" for part in _POOLING)]

    return {kind: own(report.get(kind, ())) for kind in ("missing_keys", "mismatched_keys")}


def output_layer(model: nn.Module) -> str:
    """The name of the linear layer that gives the score: the last one with one output.

    Raises:
        ModelError: There is none.
    """
    names = [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module.out_features == 1
    ]
    if not names:
        raise ModelError(
            f"{type(model).__name__} has no linear layer with one output, so no linear model can be trained on frozen "
            "features. Train the whole model: leave --features out"
        )
    return names[-1]
