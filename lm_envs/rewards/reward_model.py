"""What people prefer, as a model learned it."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_envs.errors import ConfigurationError
from lm_envs.rewards.protocol import Texts
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_positive_integer

if TYPE_CHECKING:
    from lm_envs.models.text_scores import TextEncoder


@register("model")
@dataclass(frozen=True)
class RewardModel:
    """The score of a reward model, or of an ensemble: ``model:FOLDER``.

    Formula: ``mean(z) - std_weight * std(z)`` over the members' scores ``z = (score - m) / s`` of prompt and
    completion, where ``m`` and ``s`` are the mean and the standard deviation of a member's scores of its training
    completions. One model is an ensemble of one: its score is ``z``. There is no range; 0 is an average training
    completion, 1 is a standard deviation better. None is scored like an empty completion: as the model finds it.

    Where the members disagree, none of them has seen such texts: subtracting their deviation keeps a policy from
    finding texts that one of them wrongly likes. (Coste et al. subtract the variance; the deviation has the scores'
    unit.)

    A model from elsewhere, without stored mean and deviation, pays its score as it is. Models are loaded when they are
    first used, once per process.

    Args:
        model: A folder of ``lm-envs train-reward-model``, or any sequence classification model of transformers with
            one output: a folder or a Hugging Face id.
        normalize: False: pay the score itself. Not for ensembles, whose members have scales of their own.
        std_weight: What a standard deviation of the members costs, at least 0. Without effect on one model.
        batch_size: Most texts in one forward pass.
        device: Where the models compute. None: where the environment's model does, else on the CPU.

    References:
        Coste et al. 2024 (ensembles against over-optimisation), https://arxiv.org/abs/2310.02743
    """

    __name__ = "model"
    model: str
    normalize: bool = True
    std_weight: float = 1.0
    batch_size: int = 32
    device: str | None = None

    def __post_init__(self) -> None:
        """Check the parameters and the folder; weights are read later."""
        from lm_envs.models.reward_model import check_reward_model, members

        if isinstance(self.model, Path):
            object.__setattr__(self, "model", str(self.model))
        require_positive_integer("model", "batch_size", self.batch_size)
        number = isinstance(self.std_weight, numbers.Real) and not isinstance(self.std_weight, bool)
        if not number or not 0 <= self.std_weight < math.inf:
            raise ConfigurationError(
                f"std_weight of the reward 'model' has to be a number >= 0, got {self.std_weight!r}."
            )
        if not isinstance(self.normalize, bool):
            raise ConfigurationError(
                f"normalize of the reward 'model' has to be True or False, got {self.normalize!r}."
            )
        check_reward_model(self.model)
        if not self.normalize and len(members(self.model)) > 1:
            raise ConfigurationError(
                f"{self.model!r} is an ensemble, whose members have a zero and a scale of their own: "
                "normalize=False cannot compare them. Leave it out, or name one member's folder."
            )

    def __call__(self, prompts: Sequence[str], completions: Texts, **columns: Any) -> list[float]:
        """Score each completion.

        Raises:
            ModelError: A model cannot be loaded, or a completion is longer than it can read.
        """
        if not prompts:
            return []
        scores = np.stack([self._scores(*loaded, prompts, completions) for loaded in self._load()])
        return [float(score) for score in scores.mean(0) - self.std_weight * scores.std(0)]

    def for_environment(self, model: str, device: str) -> RewardModel:
        """This reward with the environment's device where it left it open."""
        return dataclasses.replace(self, device=self.device or device)

    def _scores(self, model: Any, encode: TextEncoder, prompts: Sequence[str], completions: Texts) -> np.ndarray:
        """One member's scores ``(n,)`` float64."""
        from lm_envs.models.text_scores import all_outputs

        scores = all_outputs(model, encode(prompts, completions), self.batch_size)[:, 0].double().numpy()
        return (scores - encode.form.mean) / encode.form.std if self.normalize else scores

    def _load(self) -> list[tuple[Any, TextEncoder]]:
        """Each member with what encodes texts for it."""
        from lm_envs.models import load_tokenizer
        from lm_envs.models.reward_model import load_reward_model, members
        from lm_envs.models.text_scores import TextEncoder

        if "_held" not in vars(self):  # models are shared as long as somebody holds them
            names = members(self.model)
            models = [load_reward_model(name, device=self.device or "cpu") for name in names]
            tokenizers = [load_tokenizer(name) for name in names]
            encoders = list(map(TextEncoder, models, tokenizers))
            object.__setattr__(self, "_held", list(zip(models, encoders, strict=True)))
        return vars(self)["_held"]

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the parameters, not the weights."""
        return {key: value for key, value in vars(self).items() if key != "_held"}
