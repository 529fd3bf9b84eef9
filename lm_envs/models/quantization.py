"""Frozen weights in 4 or 8 bits, through bitsandbytes."""

from __future__ import annotations

import functools
import importlib.util
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ConfigurationError, MissingDependencyError
from lm_envs.models import checks

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

QUANTIZATIONS = ("4bit", "8bit")


def check_quantization(trainable: str, quantization: str | None) -> None:
    """Check that weights may be quantized.

    Args:
        trainable: What is trained; quantized weights themselves cannot be.
        quantization: ``"4bit"``, ``"8bit"`` or None.

    Raises:
        ConfigurationError: It is something else, or the weights themselves are to be trained.
        MissingDependencyError: bitsandbytes or accelerate is not installed.
    """
    if quantization is None:
        return
    if quantization not in QUANTIZATIONS:
        raise ConfigurationError(
            f"quantization must be {' or '.join(map(repr, QUANTIZATIONS))} or None; got {quantization!r}."
        )
    if trainable not in ("lora", "heads"):
        raise ConfigurationError(
            f"quantized weights cannot be trained: quantization={quantization!r} needs trainable='lora' or 'heads'; "
            f"got trainable={trainable!r}."
        )
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError.for_package(package, "quantization", f"quantization={quantization!r}")


def load_quantized(
    name: str, device: str | torch.device, dtype: str, quantization: str, *, trust_remote_code: bool = False
) -> PreTrainedModel:
    """Return a causal language model whose linear layers keep their weights in 4 or 8 bits; shared like any other.

    The output layer and the embeddings stay in ``dtype``. Activations are computed in ``dtype``; with 8 bits the inputs
    of linear layers are rounded too.

    Args:
        name: As for :func:`lm_envs.load_language_model`.
        device: Where the weights go.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        quantization: ``"4bit"`` (NF4, https://arxiv.org/abs/2305.14314) or ``"8bit"``
            (https://arxiv.org/abs/2208.07339).
        trust_remote_code: Run code that comes with the model. Only for models that you trust.

    Raises:
        ModelError: As for :func:`lm_envs.load_language_model`.
    """
    from lm_envs.models.loading import shared

    read = {"4bit": _read_in_4bit, "8bit": _read_in_8bit}[quantization]
    return shared(read, name, device, dtype, trust_remote_code)


def _read_in_4bit(
    name: str, source: str, dtype: torch.dtype, device: torch.device, trust_remote_code: bool
) -> PreTrainedModel:
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return _read(config, name, source, dtype, device, trust_remote_code)


def _read_in_8bit(
    name: str, source: str, dtype: torch.dtype, device: torch.device, trust_remote_code: bool
) -> PreTrainedModel:
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says in every layer that it casts to float16
    return _read(BitsAndBytesConfig(load_in_8bit=True), name, source, dtype, device, trust_remote_code)


def _read(
    config: Any, name: str, source: str, dtype: torch.dtype, device: torch.device, trust_remote_code: bool
) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    from lm_envs.models.loading import read_model

    def check(config: PreTrainedConfig) -> None:
        checks.check_causal(name, config, trust_remote_code)

    read = functools.partial(AutoModelForCausalLM.from_pretrained, quantization_config=config, device_map={"": device})
    quantizing = SimpleNamespace(from_pretrained=read)
    model = read_model(quantizing, check, name, source, dtype, device, trust_remote_code)
    module: Any
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # else a pass without gradients rounds and reorders the weights
        if hasattr(module, "init_8bit_state"):
            module.init_8bit_state()  # else the first of several copies that runs takes the weights from the others
    return model


def quantized_tensors(model: nn.Module) -> dict[int, Any]:
    """What ``copy.deepcopy`` must not copy of a quantized model, by id: weights, and the scales beside them."""
    kept: list[Any] = [
        parameter for parameter in model.parameters() if type(parameter).__module__.startswith("bitsandbytes")
    ]
    for module in model.modules():
        state = getattr(module, "state", None)
        kept += [getattr(module, "quant_state", None), getattr(state, "CB", None), getattr(state, "SCB", None)]
    return {id(value): value for value in kept if value is not None}
