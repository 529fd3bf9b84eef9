"""A model that imitates demonstrations, from settings to a folder that everything takes for ``model``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.utils import get_device

import lm_envs  # noqa: F401 - registers the environments
from agents.atomic_files import write_json
from agents.baselines.shown_texts import ENV_ID
from agents.baselines.supervised import WarmStart, warm_start
from agents.evaluation import evaluate
from agents.evaluation.generation import seeded
from agents.export import export_hf
from agents.feedback.examples import Demonstration
from agents.policies.actor_critic import LMActorCriticPolicy
from lm_envs.errors import ConfigurationError

REPORT = "warm_start.json"
N_EXAMPLES = 8


def make_warm_model(
    folder: str | Path,
    demonstrations: Sequence[Demonstration],
    env_kwargs: Mapping[str, Any],
    *,
    trainable: str = "all",
    device: str = "auto",
    eval_prompts: int = 256,
    seed: int = 0,
    on_stage: Callable[[str], None] = lambda stage: None,
    **settings: Any,
) -> dict[str, Any]:
    """Train a language model on demonstrations, measure it before and after, and leave it in a folder.

    Reinforcement learning that starts from the folder, ``lm-envs train --model FOLDER``, has it for its reference too.

    Args:
        folder: Where to; must be new or empty. It appears complete or not at all: the model as ``transformers`` saves
            it, with ``warm_start.json`` beside it.
        demonstrations: The texts.
        env_kwargs: Arguments of ``TextGen-v0`` without ``split``; ``model`` is what is trained.
        trainable: What of the model is trained, as for :class:`~agents.LMActorCriticPolicy`.
        device: Where it is trained.
        eval_prompts: Prompts of the test split before and after.
        seed: Seed of everything random.
        on_stage: Told in a few words what begins now.
        **settings: Further arguments of :func:`~agents.baselines.supervised.warm_start`.

    Returns:
        What ``warm_start.json`` holds: ``"learning"``, :meth:`WarmStart.to_dict`; ``"before"`` and ``"after"``,
        evaluations of ``eval_prompts`` prompts.

    Raises:
        ConfigurationError: ``folder`` is in use, or a value cannot work.
        DataError: There is nothing to learn from.
        LMEnvsError: Environment or model cannot be made.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{str(target)!r} exists already. Choose another folder for the model.")
    kwargs = {"model": "tiny", **env_kwargs}
    on_stage("loading the model")
    policy = _policy(kwargs, trainable, device, seed)
    on_stage("evaluating the model before")
    before = evaluate(policy, ENV_ID, kwargs, n_prompts=eval_prompts)
    on_stage("learning from demonstrations")
    learning: WarmStart = warm_start(policy, demonstrations, kwargs, seed=seed, **settings)
    on_stage("evaluating the model after")
    after = evaluate(policy, ENV_ID, kwargs, n_prompts=eval_prompts)
    results = {moment: found.to_dict(N_EXAMPLES) for moment, found in (("before", before), ("after", after))}
    report = {"model": kwargs["model"], "learning": learning.to_dict(), **results}
    export_hf(policy, target, beside=lambda fresh: write_json(fresh / REPORT, report))
    return report


def _policy(kwargs: Mapping[str, Any], trainable: str, device: str, seed: int) -> LMActorCriticPolicy:
    env = gym.make(ENV_ID, **kwargs)
    spaces = env.observation_space, env.action_space
    env.close()
    with seeded(seed):
        policy = LMActorCriticPolicy(*spaces, lambda _: 0.0, model=kwargs["model"], trainable=trainable)
    return policy.to(get_device(device))
