"""Several reward models on the same feedback, so that their disagreement shows what none of them knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.atomic_files import fresh_folder, write_json
from agents.feedback.examples import Feedback
from agents.feedback.files import read_feedback
from agents.reward_models.fitting import Check
from agents.reward_models.plots import check_plots
from agents.reward_models.report import REPORT_FILE, RewardModelReport
from agents.reward_models.training import Settings, Source, check_replaceable, train
from lm_envs.errors import ConfigurationError
from lm_envs.models.reward_model import ENSEMBLE_FILE


def train_reward_ensemble(
    feedback: Source,
    folder: str | Path,
    n_members: int,
    *,
    on_check: Callable[[int, Check], None] | None = None,
    **settings: Any,
) -> list[RewardModelReport]:
    """Train reward models that differ in their seed: in the new weights, the order, and the prompts held out.

    ``reward="model:FOLDER"`` pays their mean minus their deviation: see :class:`lm_envs.rewards.RewardModel`.

    Args:
        feedback: As in :func:`~agents.reward_models.training.train_reward_model`.
        folder: Where to save ``member-0``, ``member-1``, ..., each an ordinary reward model, and ``ensemble.json``,
            which lists them. It appears complete or not at all.
        n_members: How many, at least 2.
        on_check: Called with a member's number and each look at its losses.
        **settings: The other arguments of :func:`~agents.reward_models.training.train_reward_model`; ``seed`` is the
            first member's, and the others count on from it.

    Returns:
        A report for each member; ``report.json`` has them too.

    Raises:
        ConfigurationError: ``n_members`` is below 2, or as ``train_reward_model`` raises it.
        DataError: As ``train_reward_model`` raises it.
        UnknownNameError: As ``train_reward_model`` raises it.
        ModelError: As ``train_reward_model`` raises it.
        MissingDependencyError: matplotlib is not installed.
    """
    if not isinstance(n_members, int) or isinstance(n_members, bool) or n_members < 2:
        raise ConfigurationError(f"an ensemble has at least 2 members, got {n_members!r}.")
    first, target = Settings(**settings), Path(folder).expanduser()
    check_replaceable(target)
    check_plots()
    known = feedback if isinstance(feedback, Feedback) else read_feedback(feedback)
    names = [f"member-{number}" for number in range(n_members)]
    reports: list[RewardModelReport] = []
    with fresh_folder(target) as fresh:
        for number, name in enumerate(names):
            own = None if on_check is None else _numbered(on_check, number)
            trained = train(known, replace(first, seed=first.seed + number), own)
            (fresh / name).mkdir()
            reports.append(trained.save(fresh / name, target / name))
        write_json(fresh / ENSEMBLE_FILE, {"members": names})
        write_json(fresh / REPORT_FILE, {"members": [asdict(report) for report in reports], **_summary(reports)})
    return reports


def _numbered(on_check: Callable[[int, Check], None], number: int) -> Callable[[Check], None]:
    return lambda check: on_check(number, check)


def _summary(reports: list[RewardModelReport]) -> dict[str, float | None]:
    """The members' mean accuracy, each on its own held-out prompts."""
    found = [report.accuracy for report in reports if report.accuracy is not None]
    return {"mean_accuracy": float(np.mean(found)) if found else None}
