"""What is known about a trained reward model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from agents.reward_models.fitting import Check
from agents.reward_models.measuring import Measures

REPORT_FILE, PLOT_FILE = "report.json", "plot.png"


@dataclass(frozen=True)
class Counts:
    """How much feedback of each kind.

    Attributes:
        comparisons: Decided comparisons.
        ties: Comparisons of texts that are as good.
        ratings: Ratings.
        prompts: Different prompts.
    """

    comparisons: int
    ties: int
    ratings: int
    prompts: int


@dataclass(frozen=True)
class RewardModelReport:
    """What :func:`~agents.reward_models.training.train_reward_model` did; ``report.json`` has the same.

    Attributes:
        folder: Where the model is saved.
        body: The model that it began as.
        features: ``"all"``: the whole model was trained; ``"linear"``: a linear layer on its frozen features.
        reads: ``"joined"`` or ``"pair"``, see :class:`~lm_envs.models.reward_model.ScoreForm`.
        seed: Of the split, of the new weights and of the order.
        training: What it was trained on.
        validation: What it was validated on: other prompts.
        measures: On the validation data; None without any.
        mean: Mean score of the training completions, which the reward subtracts.
        std: Their standard deviation, which the reward divides by.
        average: Score of a text that has an even chance of a good rating.
        checks: The losses while it trained.
        best: Index of the check whose weights were kept.
        seconds: Wall time of the training.
    """

    folder: str
    body: str
    features: str
    reads: str
    seed: int
    training: Counts
    validation: Counts
    measures: Measures | None
    mean: float
    std: float
    average: float
    checks: list[Check] = field(repr=False)
    best: int
    seconds: float

    @property
    def accuracy(self) -> float | None:
        """Accuracy on held-out comparisons; None where there are none."""
        found = self.measures and self.measures.accuracy
        return found.mean if found else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
