"""Hyperparameters from YAML files in the format of RL-Zoo (https://github.com/DLR-RM/rl-baselines3-zoo).

There is one file for each algorithm, as in RL-Zoo, whose ``train --conf-file`` reads the same files. Under the id of an
environment stand

- ``policy``: an import path, or a name that the algorithm knows, such as ``MlpPolicy``;
- ``n_timesteps`` and ``n_envs``;
- ``env_kwargs``: arguments of the environment, ``reward`` among them, which is for the ``task`` that stands there;
- ``env_wrapper``: a list of wrappers, innermost first, see :mod:`agents.recipes.env_wrappers`;
- ``callback``: :class:`~agents.ReferenceKLCallback` with the penalty's ``coef`` and ``target``,
  :class:`~agents.NLPOMaskCallback` with ``update_every``, and :class:`~agents.RolloutBufferCallback` for RL-Zoo, which
  cannot name a rollout buffer, with further arguments of the buffer;
- ``policy_kwargs``, and every other argument of the algorithm; ``learning_rate: lin_1e-3`` falls linearly. YAML takes
  ``1e-3`` for text: write ``0.001`` or ``1.0e-3``.

Further sections, ``ENV_ID task=NAME``, ``ENV_ID model=NAME`` (``model=other`` for all but ``tiny`` and what was made of
it) and ``ENV_ID actions=NAME``, replace keys for a task, a model or what the user wants actions to be, in this order.
RL-Zoo looks up ids of environments only and does not see them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agents.recipes.env_wrappers import read_entries
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.models.same_size import same_size

FOLDER = Path(__file__).parents[1] / "hyperparameters"
TUNED_MODEL = "tiny"
"""The language model that the numbers of ``ENV_ID`` are for, also when it was trained further."""

_KL_CALLBACK = "agents.ReferenceKLCallback"
_MASK_CALLBACK = "agents.NLPOMaskCallback"
_BUFFER_CALLBACK = "agents.RolloutBufferCallback"
_KNOWN_CALLBACKS = (_KL_CALLBACK, _MASK_CALLBACK, _BUFFER_CALLBACK)
_CLASS_BY_NAME = re.compile(r"""get_class_by_name\(["'](?P<path>[\w.]+)["']\)""")  # RL-Zoo evaluates it as Python


@dataclass(frozen=True)
class Recipe:
    """What a file says about an environment, a task and a model.

    Attributes:
        policy: Import path, or a name that the algorithm knows.
        steps: Environment steps; None where the file does not say.
        n_envs: Environments side by side.
        env_kwargs: Arguments of the environment.
        env_wrapper: Wrappers, innermost first: ``{import path: keyword arguments}`` each.
        kl_coef: Penalty per nat; 0 for none.
        kl_target: Nats per episode that the penalty is steered to; None keeps ``kl_coef`` fixed.
        mask_every: Rollouts from one copy of the policy into the masking policy of NLPO to the next; None where the
            file does not say.
        hyperparameters: Arguments of the algorithm and of the policy together.
    """

    policy: str
    steps: int | None = None
    n_envs: int = 1
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    env_wrapper: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    kl_coef: float = 0.0
    kl_target: float | None = None
    mask_every: int | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)


def recipe_file(algorithm: str, observation: str = "tokens") -> Path:
    """The file of an algorithm for a kind of observations.

    Raises:
        UnknownNameError: There is none for such observations.
    """
    known = observations(algorithm)
    if observation not in known:
        raise UnknownNameError.for_name(f"observation of the recipes for {algorithm}", observation, known)
    return FOLDER / (f"{algorithm}.yml" if observation == "tokens" else f"{algorithm}_{observation}.yml")


def observations(algorithm: str) -> list[str]:
    """The kinds of observations that there are recipes for: ``"tokens"``, and with some algorithms ``"hidden"``."""
    prefix = f"{algorithm}_"
    return ["tokens", *sorted(path.stem.removeprefix(prefix) for path in FOLDER.glob(f"{prefix}*.yml"))]


def read_recipe(
    path: str | Path, env_id: str, task: str | None = None, model: str = TUNED_MODEL, actions: str | None = None
) -> Recipe:
    """Read what a file says about an environment.

    Args:
        path: The YAML file.
        env_id: The environment.
        task: The task; None with a data set of one's own.
        model: The language model.
        actions: What the environment's argument ``actions`` was set to; None where it was not.

    Raises:
        ConfigurationError: The file cannot be read, says nothing about the environment, or has a value that cannot
            work.
    """
    sections = _read_file(Path(path))
    if env_id not in sections:
        raise ConfigurationError(
            f"{str(path)!r} has no section {env_id!r}, only {sorted(map(str, sections))}. Choose another algorithm or "
            "environment, or give a file (--conf-file) with such a section, named as in RL-Zoo's files."
        )
    of_model = f"{env_id} model={model}"
    if of_model not in sections and not same_size(model, TUNED_MODEL):
        of_model = f"{env_id} model=other"
    values: dict[str, Any] = {}
    for name in (env_id, f"{env_id} task={task}", of_model, f"{env_id} actions={actions}"):
        values |= _mapping(sections.get(name, {}), f"the section {name!r} of {str(path)!r}")
    return _recipe(values, str(path))


def _read_file(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read the hyperparameters {str(path)!r}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{str(path)!r} is no YAML file: {error}") from error
    return _mapping(content, f"the file {str(path)!r}")


def _mapping(value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} must be a mapping of names to values; got {value!r}.")
    return dict(value)


def _recipe(values: dict[str, Any], path: str) -> Recipe:
    if "policy" not in values:
        raise ConfigurationError(f"{path!r} names no policy. Add, for example, policy: agents.LMActorCriticPolicy")
    callbacks = _callbacks(values.pop("callback", None), path)
    kl = callbacks.get(_KL_CALLBACK)
    policy_kwargs = _mapping(values.pop("policy_kwargs", {}), f"policy_kwargs in {path!r}")
    known = {
        "policy": str(values.pop("policy")),
        "steps": values.pop("n_timesteps", None),
        "n_envs": values.pop("n_envs", 1),
        "env_kwargs": _mapping(values.pop("env_kwargs", {}), f"env_kwargs in {path!r}"),
        "env_wrapper": read_entries(values.pop("env_wrapper", None)),
    }
    if "replay_buffer_class" in values:
        values["replay_buffer_class"] = _class_path(str(values["replay_buffer_class"]))
    buffer = callbacks.get(_BUFFER_CALLBACK, {})
    if buffer_kwargs := {name: value for name, value in buffer.items() if name != "rollout_buffer_class"}:
        values["rollout_buffer_kwargs"] = buffer_kwargs
    return Recipe(
        **known,
        kl_coef=kl.get("coef", 0.05) if kl is not None else 0.0,
        kl_target=kl.get("target") if kl is not None else None,
        mask_every=callbacks.get(_MASK_CALLBACK, {}).get("update_every"),
        hyperparameters={**values, **policy_kwargs},
    )


def _class_path(text: str) -> str:
    found = _CLASS_BY_NAME.fullmatch(text.strip())
    return text if found is None else found["path"]


def _callbacks(callbacks: Any, path: str) -> dict[str, dict[str, Any]]:
    """The arguments of each callback, by its import path."""
    found: dict[str, dict[str, Any]] = {}
    for entry in read_entries(callbacks):
        for name in entry:
            if name not in _KNOWN_CALLBACKS:
                raise ConfigurationError(
                    f"{path!r} has the callback {name!r}; lm-envs train knows {', '.join(_KNOWN_CALLBACKS)}. Pass your "
                    "own in Python: agents.training_runs.training.train(config, folder, callbacks=[...])."
                )
        found |= entry
    return found
