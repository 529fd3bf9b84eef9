"""Low-rank adapters inside of a pretrained model, through peft: the base stays as it was, and shared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from lm_envs.errors import ConfigurationError, MissingDependencyError, UnknownNameError
from lm_envs.inference.fast_linear import speed_up

ADAPTER = "default"  # peft's own name for an adapter that has none
RANK, ALPHA = 8, 16
SUPPORTED = (
    "r lora_alpha target_modules exclude_modules layers_to_transform layers_pattern rank_pattern alpha_pattern "
    "use_rslora init_lora_weights lora_dropout bias peft_type task_type"
).split()


def check_peft_config(trainable: str, given: Mapping[str, Any] | None) -> None:
    """Check the arguments of an adapter, as far as that goes without a model.

    Args:
        trainable: What the policy trains.
        given: ``peft_config``, arguments of ``peft.LoraConfig``; None for the defaults.

    Raises:
        ConfigurationError: It is no dictionary, there is no adapter to configure, or a value would change the base
            or make two passes with the same weights differ.
        UnknownNameError: It has a key that is not supported.
        MissingDependencyError: peft is not installed.
    """
    if trainable == "lora":
        _require_peft()
    if given is None:
        return
    if trainable != "lora":
        raise ConfigurationError(
            f"peft_config configures the adapter of trainable='lora'; got trainable={trainable!r}. Pass "
            "trainable='lora', or leave peft_config out."
        )
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"peft_config must be a plain dict of arguments of peft.LoraConfig, such as dict(r=8, lora_alpha=16); got "
            f"{type(given).__name__}. A LoraConfig's arguments: its to_dict(), without those that are None."
        )
    for key in given:
        if key not in SUPPORTED:
            raise UnknownNameError.for_name("key of peft_config", key, SUPPORTED)
    _check_values(given)


def _check_values(given: Mapping[str, Any]) -> None:
    rank = given.get("r", RANK)
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise ConfigurationError(f"peft_config['r'], the rank, must be an integer of at least 1; got {rank!r}.")
    if given.get("lora_dropout", 0):
        raise ConfigurationError(
            f"lora_dropout must be 0; got {given['lora_dropout']!r}. Dropout would give an action another probability "
            "in the update than in the rollout, and PPO's first ratio would not be 1."
        )
    if given.get("bias", "none") != "none":
        raise ConfigurationError(
            f"bias must be 'none'; got {given['bias']!r}. The base's biases are shared with every other holder of the "
            "model and stay frozen."
        )
    if given.get("init_lora_weights", True) not in (True, False, "gaussian"):
        raise ConfigurationError(
            f"init_lora_weights must be True, False or 'gaussian'; got {given['init_lora_weights']!r}, which would "
            "change the base's weights, and these are shared."
        )
    for key, only in (("peft_type", "LORA"), ("task_type", "CAUSAL_LM")):
        if given.get(key, only) not in (only, None):
            raise ConfigurationError(f"{key} must be {only!r} or left out; got {given[key]!r}.")


def lora_config(model: Any, given: Mapping[str, Any] | None) -> Any:
    """The ``peft.LoraConfig`` of a model's adapter.

    Args:
        model: The model of transformers, without adapter.
        given: Arguments that replace the defaults: rank 8, alpha 16, and the modules that peft names for the
            architecture (queries and values, as in section 4.2 of the paper), or all linear layers where it names none.

    References:
        Hu et al. 2021, https://arxiv.org/abs/2106.09685
    """
    _require_peft()
    from peft import LoraConfig
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as USUAL
    from transformers.pytorch_utils import Conv1D

    defaults = {
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": USUAL.get(model.config.model_type, "all-linear"),
        "fan_in_fan_out": any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2
        "task_type": None if model.get_output_embeddings() is None else "CAUSAL_LM",
    }
    try:
        return LoraConfig(**{**defaults, **(given or {})})
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"peft refuses peft_config={dict(given or {})}: {error}") from error


def inject_adapter(model: Any, given: Mapping[str, Any] | None) -> set[str]:
    """Put an adapter into a model, in place; at first it changes nothing, and only it requires gradients.

    Args:
        model: The model of transformers.
        given: See :func:`lora_config`.

    Returns:
        The names of the adapter's parameters; they are float32.

    Raises:
        ConfigurationError: The configuration does not fit the model.
        MissingDependencyError: peft is not installed.
    """
    config = lora_config(model, given)
    from peft import inject_adapter_in_model

    before = {id(parameter) for parameter in model.parameters()}
    linear = sorted({name.rpartition(".")[2] for name, part in model.named_modules() if isinstance(part, nn.Linear)})
    try:
        inject_adapter_in_model(config, model, ADAPTER)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the adapter peft_config={dict(given or {})} does not fit the model {type(model).__name__}: {error} "
            f"Its linear layers are {', '.join(linear)}; target_modules='all-linear' takes all but the last."
        ) from error
    _check_targets(model)
    speed_up(model)
    added = {name: parameter for name, parameter in model.named_parameters() if id(parameter) not in before}
    for parameter in added.values():
        parameter.data = parameter.data.float()
    return set(added)


def _check_targets(model: Any) -> None:
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    layers = adapter_layers(model)
    if any(layer is inputs or layer is outputs for layer in layers):
        raise ConfigurationError(
            "target_modules may name layers between the embeddings and the output layer, and not those two: they may "
            "be one tensor, and the output layer is read in parts. Leave them out, or use target_modules='all-linear'."
        )


def adapter_layers(model: nn.Module) -> list[Any]:
    """The layers of a model that have an adapter."""
    from peft.tuners.lora import LoraLayer

    return [module for module in model.modules() if isinstance(module, LoraLayer)]


@contextlib.contextmanager
def switched_off(layers: Sequence[Any]) -> Iterator[None]:
    """A context in which layers compute what they did before they had an adapter, to the last bit."""
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def _require_peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.for_package("peft", "lora", "trainable='lora'") from error
