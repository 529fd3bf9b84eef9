"""Learning from human feedback, round after round: sample, ask, learn what is wanted, learn to write it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.feedback.collecting import collect_items
from agents.feedback.files import read_feedback
from agents.feedback.store import FeedbackStore
from agents.recipes.train_config import TrainConfig, make_config
from agents.reward_models.ensemble import train_reward_ensemble
from agents.reward_models.training import train_reward_model
from agents.training_runs.checkpoints import checkpoints
from agents.training_runs.folder import RunFolder
from agents.training_runs.training import resume, train

Annotate = Callable[[FeedbackStore], Any]


@dataclass(frozen=True)
class FeedbackRound:
    """What a round leaves.

    Attributes:
        path: The round's folder.
    """

    path: Path

    @property
    def reward_model(self) -> Path:
        """The reward model, or the ensemble of several: ``reward="model:FOLDER"``."""
        return self.path / "reward_model"

    @property
    def run(self) -> RunFolder:
        """The run of the policy's training."""
        return RunFolder(self.path / "policy")

    @property
    def model(self) -> str:
        """The folder of the trained language model, with which the next round may begin."""
        return str(self.run.hf)


def feedback_round(
    path: str | Path,
    start: str,
    store: FeedbackStore,
    annotate: Annotate,
    *,
    n_prompts: int = 500,
    n_completions: int = 2,
    n_reward_models: int = 1,
    reference: str | None = None,
    env_id: str = "TextGen-v0",
    task: str | None = None,
    dataset: str | None = None,
    seed: int = 0,
    on_stage: Callable[[str], None] = lambda stage: None,
    **settings: Any,
) -> FeedbackRound:
    """Go once round: completions of the present model, feedback, a reward model, a policy trained against it.

    Each step leaves its own file or folder, the same that the commands ``collect``, ``label``, ``train-reward-model``
    and ``train`` make, and is left out where these are there: a round that was interrupted goes on when it is called
    again with the same arguments.

    Args:
        path: The round's folder.
        start: The language model that the round begins with: an alias, a hub id, or the :attr:`FeedbackRound.model` of
            the round before.
        store: Where items and answers are, of all rounds together: the reward model learns from all of them.
        annotate: Answers the store's open items, for example
            :meth:`agents.feedback.simulated.SimulatedAnnotator.answer_store`, or a function that opens the label page
            and waits.
        n_prompts: Prompts of the training split whose completions are compared.
        n_completions: Completions of each of them, 2 to 4.
        n_reward_models: Members of an ensemble, whose mean minus deviation is paid; 1 for a single model.
        reference: The model that the policy is held close to: usually the one that the first round began with, so that
            what went astray in one round can be mended in the next. None for ``start``.
        env_id: The environment.
        task: Its task.
        dataset: Or prompts of one's own.
        seed: Seed of everything random.
        on_stage: Told in a few words what begins now.
        **settings: Any other argument of :func:`agents.recipes.train_config.make_config`.

    Returns:
        Where everything is.

    Raises:
        LMEnvsError: A step cannot work; what the steps before it left stays.

    References:
        Stiennon et al. 2020, https://arxiv.org/abs/2009.01325; Bai et al. 2022, https://arxiv.org/abs/2204.05862
    """
    here = FeedbackRound(Path(path))
    config = make_config(  # first: what is wrong with it shows before anybody is asked
        env_id,
        task=task,
        dataset=dataset,
        reward=f"model:{here.reward_model}",
        model=start,
        kl_reference=reference,
        seed=seed,
        **settings,
    )
    here.path.mkdir(parents=True, exist_ok=True)
    if not here.reward_model.exists():
        on_stage("sampling completions")
        subject = {key: value for key, value in (("task", task), ("dataset", dataset)) if value is not None}
        unscored = {"reward": "repetition"} if dataset is not None and task is None else {}  # data ask for a reward
        env_kwargs = {**subject, **unscored}
        collect_items(store, start, n_prompts, n_completions, env_id=env_id, env_kwargs=env_kwargs, seed=seed)
        on_stage("asking for feedback")
        annotate(store)
        on_stage("training the reward model")
        _train_reward_model(store, here.reward_model, n_reward_models, seed)
    if not here.run.model.exists():
        _train_policy(config, here.run, on_stage)
    return here


def _train_reward_model(store: FeedbackStore, folder: Path, n_members: int, seed: int) -> None:
    feedback = read_feedback(store.path)
    if n_members == 1:
        train_reward_model(feedback, folder, seed=seed)
    else:
        train_reward_ensemble(feedback, folder, n_members, seed=seed)


def _train_policy(config: TrainConfig, run: RunFolder, on_stage: Callable[[str], None]) -> None:
    """Train, or go on from the last checkpoint; a run that was killed before its first one begins anew."""
    if checkpoints(run.checkpoints):
        on_stage("going on with the policy's training")
        resume(run.path)
        return
    if run.config.exists():
        shutil.rmtree(run.path)
    on_stage("training the policy")
    train(config, run.path)
