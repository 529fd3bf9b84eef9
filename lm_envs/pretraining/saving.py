"""Writing the trained model to its folder, all files at once."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lm_envs.pretraining.card import model_card
from lm_envs.pretraining.training import TrainingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: TrainingConfig,
    out: Path,
    minutes: float,
) -> None:
    """Write weights, configuration, tokenizer and model card to ``out``.

    The files are written to a temporary folder beside ``out`` and then moved one by one, so that a stopped
    run leaves no half-written file.

    Args:
        model: The trained model.
        tokenizer: Its tokenizer.
        config: The settings of the run, for the card.
        out: The folder; created when missing.
        minutes: How long the training took, for the card.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        _name_tokenizer_class(Path(folder, "tokenizer_config.json"))
        Path(folder, "README.md").write_text(model_card(model, tokenizer, config, minutes), encoding="utf-8")
        for file in sorted(Path(folder).iterdir()):
            file.chmod(0o644)
            os.replace(file, out / file.name)


def _name_tokenizer_class(file: Path) -> None:
    """Name the class and the extra tokens as transformers 4 does too; version 5 writes names that 4 cannot load."""
    config = json.loads(file.read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["additional_special_tokens"] = config.pop("extra_special_tokens")
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
