"""Reward models: sequence classification models with one output, alone or as the members of an ensemble."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ModelError
from lm_envs.models import checks
from lm_envs.models.aliases import resolve
from lm_envs.models.loading import load_tokenizer, read_model, shared
from lm_envs.models.loading_errors import reported

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

ENSEMBLE_FILE = "ensemble.json"
READINGS: tuple[str, ...] = ("joined", "pair")


@dataclass(frozen=True)
class ScoreForm:
    """How texts are put before a reward model, and what its scores were on the texts that it was trained on.

    Models that were trained here keep it in their configuration, as ``config.reward_model``.

    Attributes:
        reads: ``"joined"``: the prompt and, directly behind it, the completion, as one text; ``"pair"``: both as a
            pair of sentences, in the tokenizer's own form.
        mean: Mean score of the training completions.
        std: Standard deviation of these scores, above 0.
    """

    reads: str
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, config: PreTrainedConfig) -> ScoreForm:
        """What a configuration says; of a model from elsewhere: encoders read pairs, others read joined texts.

        Raises:
            ModelError: What it says is damaged.
        """
        stored = getattr(config, "reward_model", None)
        if stored is None:
            return cls("pair" if checks.is_encoder(config) else "joined")
        try:
            form = cls(stored["reads"], float(stored["mean"]), float(stored["std"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(stored) from error
        if form.reads not in READINGS or not math.isfinite(form.mean) or not 0 < form.std < math.inf:
            raise _damaged(stored)
        return form

    def write_to(self, config: PreTrainedConfig) -> None:
        """Store it in a configuration, which ``save_pretrained`` writes."""
        config.reward_model = asdict(self)


def _damaged(stored: Any) -> ModelError:
    return ModelError(
        f"the model's config.json has \"reward_model\": {stored!r:.200}; expected {{'reads': 'joined' or 'pair', "
        "'mean': NUMBER, 'std': NUMBER above 0}. Train the reward model again"
    )


def load_reward_model(name: str, device: str | torch.device = "cpu") -> PreTrainedModel:
    """Return a sequence classification model with one output, frozen, in float32, shared while anybody holds it.

    Args:
        name: A local folder or a Hugging Face id; no ensemble: see :func:`members`.
        device: Where the weights go.

    Raises:
        UnknownNameError: ``name`` is almost an alias.
        ModelError: There is no such model; it is no sequence classification model, or has several outputs; its
            weights are damaged, incomplete or not finite; it cannot be padded; or the device is not there.
    """
    return shared(_read_reward_model, name, device, "float32", False)


def check_reward_model(name: str) -> None:
    """Check a reward model, or each member of an ensemble, as far as that is possible without reading weights.

    Args:
        name: A local folder or a Hugging Face id; of an id that the hub has, nothing more is checked.

    Raises:
        UnknownNameError: ``name`` is almost an alias.
        ModelError: There is no such folder, it is no sequence classification model, or it has several outputs.
    """
    from transformers import AutoConfig

    for member in members(name):
        source = resolve(member)
        if Path(source).is_dir():
            with reported("configuration", member, source):
                config = AutoConfig.from_pretrained(source)
            check_one_output(member, config)


def check_one_output(name: str, config: PreTrainedConfig) -> None:
    """Check that a configuration is that of a sequence classification model with one output.

    Raises:
        ModelError: It is not.
    """
    architectures = getattr(config, "architectures", None) or [config.model_type]
    if not any("ForSequenceClassification" in architecture for architecture in architectures):
        raise ModelError(
            f"expected a reward model, that is, a sequence classification model with one output; got {name!r} "
            f"({', '.join(architectures)}), which has no such output: its scores would be random. Train one on it: "
            f"lm-envs train-reward-model FEEDBACK --model {name} -o FOLDER"
        )
    labels = list((config.id2label or {}).values())
    if len(labels) != 1:
        raise ModelError(
            f"expected one output, got {len(labels)} labels ({', '.join(labels[:4])}): {name!r} is a classifier, "
            f"and a reward model gives one score. Train one: lm-envs train-reward-model FEEDBACK -m {name} -o FOLDER"
        )


def members(name: str) -> list[str]:
    """The members of an ensemble, or the one model that ``name`` is.

    Args:
        name: A local folder, perhaps one with an :data:`ENSEMBLE_FILE`, or a Hugging Face id.

    Raises:
        ModelError: The list of members cannot be read, or one is missing.
    """
    folder = Path(str(name)).expanduser()
    index = folder / ENSEMBLE_FILE
    if not index.is_file():
        return [name]
    try:
        found = [str(folder / member) for member in json.loads(index.read_text(encoding="utf-8"))["members"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f'cannot read {str(index)!r}: {error!r}; expected {{"members": [FOLDER, ...]}}. Train the ensemble again'
        ) from error
    missing = [member for member in found if not Path(member).is_dir()]
    if missing or not found:
        what = f"{len(missing)} of them are missing ({missing[0]})" if missing else "there are none"
        raise ModelError(f"{str(index)!r} lists the members of an ensemble, and {what}. Train the ensemble again")
    return found


def check_padding(name: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that texts of different lengths can share a batch, and note the padding token in the configuration.

    Raises:
        ModelError: Neither the configuration nor the tokenizer names a padding token, nor an end-of-text token.
    """
    text_config = config.get_text_config()
    if text_config.pad_token_id is None:
        text_config.pad_token_id = tokenizer.pad_token_id
    if text_config.pad_token_id is None:
        raise ModelError(
            f"the tokenizer of {name!r} has neither a padding token nor an end-of-text token, so texts of different "
            "lengths cannot share a batch. Give it one and save it again: tokenizer.pad_token = "
            f"{tokenizer.convert_ids_to_tokens(0)!r} (any token that no text ends with); "
            "tokenizer.save_pretrained(FOLDER)"
        )


def _read_reward_model(
    name: str, source: str, dtype: torch.dtype, device: torch.device, trust_remote_code: bool
) -> PreTrainedModel:
    from transformers import AutoModelForSequenceClassification

    from lm_envs.inference.fast_linear import speed_up

    def check(config: PreTrainedConfig) -> None:
        check_one_output(name, config)
        ScoreForm.of(config)
        check_padding(name, config, load_tokenizer(name))

    model = read_model(AutoModelForSequenceClassification, check, name, source, dtype, device, trust_remote_code)
    speed_up(model)
    return model
