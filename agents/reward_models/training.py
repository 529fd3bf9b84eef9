"""From feedback to a reward model in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch as th

from agents.atomic_files import fresh_folder, write_json
from agents.feedback.examples import Feedback
from agents.feedback.files import read_feedback
from agents.reward_models.bodies import load_body
from agents.reward_models.comparisons import Comparisons, compile_comparisons, split_by_prompt
from agents.reward_models.fitting import Check, fit, scores_of_rows
from agents.reward_models.losses import win_probabilities
from agents.reward_models.measuring import measure
from agents.reward_models.plots import check_plots, draw_report
from agents.reward_models.report import PLOT_FILE, REPORT_FILE, Counts, RewardModelReport
from agents.reward_models.scorers import FeatureScorer, TextScorer
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.models.loading import find_device
from lm_envs.models.quiet import quiet_transformers
from lm_envs.models.reward_model import ENSEMBLE_FILE, ScoreForm
from lm_envs.models.text_scores import TextEncoder

FEATURES = ("all", "linear")
SMALL_MODEL = 10_000_000  # parameters below which a model bears a higher learning rate
SCORED_AT_ONCE = 64

Source = Feedback | str | Path | Sequence[str | Path]
OnCheck = Callable[[Check], None]


@dataclass(frozen=True)
class Settings:
    """How a reward model is trained; each is an argument of :func:`train_reward_model`."""

    body: str = "tiny"
    features: str = "all"
    epochs: int | None = None
    lr: float | None = None
    batch_size: int = 32
    patience: int = 1
    validation: float = 0.1
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check what does not depend on the model."""
        if self.features not in FEATURES:
            raise UnknownNameError.for_name("kind of features", self.features, FEATURES)
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name == "epochs":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigurationError(f"{name} has to be an integer >= {least}, got {value!r}.")
        if self.lr is not None and not 0 < self.lr < 1:
            raise ConfigurationError(f"lr has to be above 0 and below 1, got {self.lr!r}.")


def train_reward_model(
    feedback: Source,
    folder: str | Path,
    body: str = "tiny",
    *,
    features: str = "all",
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int = 32,
    patience: int = 1,
    validation: float = 0.1,
    seed: int = 0,
    device: str = "auto",
    on_check: OnCheck | None = None,
) -> RewardModelReport:
    """Train a model that scores completions as people prefer them, and save it.

    The folder is an ordinary one of ``transformers.AutoModelForSequenceClassification`` with one output, with its
    tokenizer, ``report.json`` and ``plot.png``; ``reward="model:FOLDER"`` pays its score.

    Args:
        feedback: Comparisons and ratings: in memory, or files that :func:`~agents.feedback.files.read_feedback` reads.
        folder: Where to save it. It appears complete or not at all; an earlier reward model there is replaced.
        body: The model to begin with: ``"tiny"``, ``"minilm"``, a Hugging Face id, or a folder with an encoder, a
            causal language model or a reward model. Encoders read prompt and completion as a pair of sentences, causal
            models as one text.
        features: ``"all"``: train the whole model; ``"linear"``: only a linear layer on the frozen model's features.
        epochs: How often the feedback is seen at most. None: 3, and 60 with linear features.
        lr: Peak of the learning rate. None: 5e-5 for models of 10 million parameters or more, 2e-3 for smaller
            ones, 1e-2 for linear features.
        batch_size: Comparisons or ratings in an update.
        patience: Epochs without a lower validation loss after which training stops.
        validation: Share of the prompts that are held out; 0: none, and no early stopping.
        seed: Of the split, of the new weights and of the order.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        on_check: Called with each look at the losses, four times an epoch.

    Raises:
        DataError: There is neither a comparison nor a rating, or a file cannot be read.
        ConfigurationError: An argument has a value that cannot work, or ``folder`` is something else than a reward
            model.
        UnknownNameError: ``body`` is almost an alias, or ``features`` is unknown.
        ModelError: The body cannot be loaded or does not fit, a completion is longer than it reads, or the loss is not
            finite.
        MissingDependencyError: matplotlib is not installed.
    """
    settings = Settings(body, features, epochs, lr, batch_size, patience, validation, seed, device)
    target = Path(folder).expanduser()
    check_replaceable(target)
    check_plots()
    known = feedback if isinstance(feedback, Feedback) else read_feedback(feedback)
    trained = train(known, settings, on_check)
    with fresh_folder(target) as fresh:
        return trained.save(fresh, target)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained reward model that is not saved yet.

    Attributes:
        model: The sequence classification model.
        tokenizer: Its tokenizer.
        report: What is known about it, without a folder.
        gaps: Score of the better text minus score of the other in the held-out comparisons, ``(n,)``.
        ratings: Held-out ratings and the predicted ones, ``(m,)`` each.
    """

    model: Any
    tokenizer: Any
    report: RewardModelReport
    gaps: npt.NDArray[np.float64]
    ratings: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

    def save(self, folder: Path, final: Path) -> RewardModelReport:
        """Write the model, its tokenizer, the report and the plot into a folder that is to stand at ``final``."""
        report = replace(self.report, folder=str(final))
        with quiet_transformers():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        write_json(folder / REPORT_FILE, report.to_dict())
        draw_report(folder / PLOT_FILE, report, self.gaps, self.ratings)
        return report


def check_replaceable(folder: Path) -> None:
    """Check that nothing else than a reward model would be replaced.

    Raises:
        ConfigurationError: There is something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    is_model = folder.is_dir() and (folder / REPORT_FILE).is_file()
    if not is_model or not ((folder / "config.json").is_file() or (folder / ENSEMBLE_FILE).is_file()):
        raise ConfigurationError(
            f"{str(folder)!r} exists and is no trained reward model; it will not be replaced. Choose another folder."
        )


def train(feedback: Feedback, settings: Settings, on_check: OnCheck | None = None) -> Trained:
    """Train a reward model without saving it; raises like :func:`train_reward_model`."""
    start = time.perf_counter()
    data = compile_comparisons(feedback)
    training, validation = split_by_prompt(data, settings.validation, settings.seed)
    device = find_device(settings.device)
    with th.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        th.manual_seed(settings.seed)
        model, tokenizer = load_body(settings.body, device)
        rows = TextEncoder(model, tokenizer)([p for p, _ in data.texts], [c for _, c in data.texts])
        scorer = (FeatureScorer if settings.features == "linear" else TextScorer)(model, rows, SCORED_AT_ONCE)
        found = fit(
            scorer,
            data,
            training,
            validation,
            epochs=settings.epochs or (60 if settings.features == "linear" else 3),
            lr=settings.lr or _default_rate(settings, model),
            batch_size=settings.batch_size,
            patience=settings.patience,
            seed=settings.seed,
            on_check=on_check,
        )
    form = ScoreForm(ScoreForm.of(model.config).reads, *_scale(scorer, data, training))
    form.write_to(model.config)
    first, second = scores_of_rows(scorer, found.average, data, validation)
    report = RewardModelReport(
        folder="",
        body=settings.body,
        features=settings.features,
        reads=form.reads,
        seed=settings.seed,
        training=_counts(data, training),
        validation=_counts(data, validation),
        measures=measure(data, validation, first, second) if len(validation) else None,
        mean=form.mean,
        std=form.std,
        average=found.average,
        checks=found.checks,
        best=found.best,
        seconds=time.perf_counter() - start,
    )
    decided, rated = data.is_decided[validation], data.is_rating[validation]
    ratings = data.target[validation][rated].astype(np.float64), win_probabilities(first[rated], second[rated])
    return Trained(model, tokenizer, report, (first - second)[decided], ratings)


def _default_rate(settings: Settings, model: Any) -> float:
    if settings.features == "linear":
        return 1e-2
    return 2e-3 if model.num_parameters() < SMALL_MODEL else 5e-5


def _counts(data: Comparisons, rows: npt.NDArray[np.int64]) -> Counts:
    decided, rated = int(data.is_decided[rows].sum()), int(data.is_rating[rows].sum())
    return Counts(decided, len(rows) - decided - rated, rated, len(set(data.prompts_of(rows))))


def _scale(scorer: Any, data: Comparisons, rows: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean and standard deviation of the scores of the texts in these comparisons; 1 where all scores are equal."""
    texts = np.unique(np.concatenate([data.first[rows], data.second[rows]]))
    scores = scorer.score_all(texts[texts >= 0])
    return float(scores.mean()), float(scores.std()) or 1.0
