"""Tokenizers, frozen language models and frozen encoders, loaded once per process and shared."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ModelError, UnknownNameError
from lm_envs.models import checks
from lm_envs.models.aliases import resolve
from lm_envs.models.hub import check_reachable
from lm_envs.models.loading_errors import reported
from lm_envs.models.quiet import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

DTYPES = ("float32", "bfloat16", "float16")

_lock = threading.RLock()  # transformers sets process-wide state while it loads
_tokenizers: dict[tuple[Any, ...], PreTrainedTokenizerBase] = {}
_models: weakref.WeakValueDictionary[tuple[Any, ...], PreTrainedModel] = weakref.WeakValueDictionary()


def load_tokenizer(name: str, *, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model, the same object for the same name.

    Where the tokenizer names no padding token, the end-of-text token pads.

    Args:
        name: An alias (``"tiny"``, ``"smollm2-135m"``), a Hugging Face id, or a local folder.
        trust_remote_code: Run code that comes with the model. Only for models that you trust.

    Raises:
        UnknownNameError: ``name`` is almost an alias.
        ModelError: There is no such model here or on the hub, or its tokenizer cannot be read.
    """
    source = resolve(name)
    key = (source, _signature(source), trust_remote_code)
    with _lock:
        if key not in _tokenizers:
            _tokenizers[key] = _read_tokenizer(name, source, trust_remote_code)
        return _tokenizers[key]


def load_language_model(
    name: str, device: str | torch.device = "cpu", dtype: str = "float32", *, trust_remote_code: bool = False
) -> PreTrainedModel:
    """Return a causal language model, frozen and in evaluation mode, shared while anybody holds it.

    Every caller with the same name, device and dtype gets the same object: deep-copy it to train it.

    Args:
        name: An alias (``"tiny"``, ``"smollm2-135m"``), a Hugging Face id, or a local folder.
        device: Where the weights go: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` (a GPU if there is).
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        trust_remote_code: Run code that comes with the model. Only for models that you trust.

    Raises:
        UnknownNameError: ``name`` is almost an alias, or ``dtype`` is unknown.
        ModelError: There is no such model here or on the hub; it is no causal language model; its weights are
            damaged, incomplete or not finite; or the device is not there.
    """
    return shared(_read_language_model, name, device, dtype, trust_remote_code)


def load_encoder(
    name: str, device: str | torch.device = "cpu", dtype: str = "float32", *, trust_remote_code: bool = False
) -> PreTrainedModel:
    """Return a model without its head, whose output is a hidden state for each token; else as `load_language_model`.

    Args:
        name: A local folder or a Hugging Face id, for example of a BERT that was trained for sentences; or an alias.
        device: Where the weights go.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        trust_remote_code: Run code that comes with the model. Only for models that you trust.

    Raises:
        UnknownNameError: ``name`` is almost an alias, or ``dtype`` is unknown.
        ModelError: There is no such model here or on the hub; it has an encoder and a decoder; its weights are
            damaged, incomplete or not finite; or the device is not there.
    """
    return shared(_read_encoder, name, device, dtype, trust_remote_code)


def is_encoder(name: str) -> bool:
    """Whether a model sees a whole text at once, as BERT does, instead of continuing it; no weights are read.

    Args:
        name: An alias, a Hugging Face id, or a local folder.

    Raises:
        UnknownNameError: ``name`` is almost an alias.
        ModelError: There is no such model here or on the hub.
    """
    from transformers import AutoConfig

    source = resolve(name)
    with reported("configuration", name, source):
        check_reachable(source)
        return checks.is_encoder(AutoConfig.from_pretrained(source))


def shared(
    read: Callable[..., PreTrainedModel], name: str, device: str | torch.device, dtype: str, trust_remote_code: bool
) -> PreTrainedModel:
    """Return what ``read`` returns, the same object for the same arguments while anybody holds it.

    Args:
        read: ``read(name, source, dtype, device, trust_remote_code)``, where ``source`` is a folder or a hub id.
        name: An alias, a Hugging Face id, or a local folder; one whose files changed is read anew.
        device: Where the weights go.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        trust_remote_code: Run code that comes with the model.

    Raises:
        UnknownNameError: ``name`` is almost an alias, or ``dtype`` is unknown.
        ModelError: There is no such folder or device, or what ``read`` raises.
    """
    torch_dtype, torch_device = _torch_dtype(dtype), find_device(device)
    source = resolve(name)
    key = (read.__name__, source, _signature(source), str(torch_device), str(torch_dtype), trust_remote_code)
    with _lock:
        model = _models.get(key)
        if model is None:
            model = _models[key] = read(name, source, torch_dtype, torch_device, trust_remote_code)
        return model


def _read_tokenizer(name: str, source: str, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with reported("tokenizer", name, source), quiet_transformers(progress_bars=not Path(source).is_dir()):
        check_reachable(source)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _read_language_model(
    name: str, source: str, dtype: torch.dtype, device: torch.device, trust_remote_code: bool
) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    def check(config: PreTrainedConfig) -> None:
        checks.check_causal(name, config, trust_remote_code)

    return read_model(AutoModelForCausalLM, check, name, source, dtype, device, trust_remote_code)


def _read_encoder(
    name: str, source: str, dtype: torch.dtype, device: torch.device, trust_remote_code: bool
) -> PreTrainedModel:
    from transformers import AutoModel

    def check(config: PreTrainedConfig) -> None:
        checks.check_one_part(name, config)

    return read_model(AutoModel, check, name, source, dtype, device, trust_remote_code, unused="pooler.")


def read_model(
    auto_class: Any,
    check: Callable[[PreTrainedConfig], None],
    name: str,
    source: str,
    dtype: torch.dtype,
    device: torch.device,
    trust_remote_code: bool,
    unused: str | None = None,
) -> PreTrainedModel:
    """Read a model's weights, check them, and freeze them.

    Args:
        auto_class: The class of transformers that knows the architecture.
        check: Raises where the configuration is that of another kind of model; called before any weight is read.
        name: The model's name as the user gave it.
        source: The folder or hub id that the name stands for.
        dtype: What it computes in.
        device: Where the weights go.
        trust_remote_code: Run code that comes with the model.
        unused: Beginning of the names of weights that may be missing because nobody uses them.

    Raises:
        ModelError: It cannot be read, or its weights are incomplete or not finite.
    """
    from transformers import AutoConfig

    with quiet_transformers(progress_bars=not Path(source).is_dir()):
        with reported("configuration", name, source):
            check_reachable(source)
            config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        check(config)
        with reported("weights", name, source):
            loaded: Any = auto_class.from_pretrained(
                source,
                config=config,
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
            )
    model, report = loaded
    checks.check_complete(name, report, unused)
    checks.check_finite(name, model)
    return model.to(device).eval().requires_grad_(False)


def _signature(source: str) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a folder is written again: a model retrained in place is read anew."""
    if not Path(source).is_dir():
        return ()
    with os.scandir(source) as entries:
        stats = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return tuple(sorted((file, stat.st_size, stat.st_mtime_ns) for file, stat in stats))


def _torch_dtype(dtype: str) -> torch.dtype:
    import torch

    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise UnknownNameError.for_name("dtype", name, DTYPES)
    return getattr(torch, name)


def find_device(device: str | torch.device) -> torch.device:
    """The device of a name, ``"auto"`` among them.

    Raises:
        ModelError: It is not there.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
        if found.type == "cuda":  # "cuda" and "cuda:0" share one model
            found = torch.device("cuda", torch.cuda.current_device() if found.index is None else found.index)
            torch.cuda.get_device_properties(found)
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).partition("\n")[0]
        raise ModelError(f"no such device: {device!r} ({first_line}). Use 'cpu', 'cuda', 'cuda:N' or 'auto'") from error
    return found
