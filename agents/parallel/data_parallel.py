"""Several processes that learn one model: ``torchrun --nproc-per-node=2 script.py``."""

from __future__ import annotations

import io
import logging
import secrets
import socket
import types
from collections.abc import Iterator
from typing import Any, TypeVar

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import TrainFrequencyUnit

from agents.parallel.algorithm import DataParallelAlgorithm, Parallel
from agents.parallel.gradients import GradientAverage
from agents.parallel.ranks import Ranks, start_process_group
from lm_envs.errors import ConfigurationError

Algorithm = TypeVar("Algorithm", bound=BaseAlgorithm)

ALGORITHMS = ("PPO", "MaskablePPO", "A2C", "DQN", "QRDQN")
"""One optimizer each, and every update of it follows a ``backward()``."""

OWN_SETTINGS = ("seed", "verbose", "tensorboard_log", "start_time")
"""Attributes that may differ between processes."""


def data_parallel(model: Algorithm, timeout: float = 1800.0) -> Algorithm:
    """Let the processes that ``torchrun`` has started learn one model together.

    Every process runs the same script, builds the same model and calls this once, before ``learn``; then the model is
    used as ever::

        model = agents.data_parallel(PPO(agents.LMActorCriticPolicy, venv, n_steps=32, batch_size=1024, seed=0))
        model.learn(50_000)
        model.save("ppo.zip")

    Each process, a rank, collects episodes of its own in environments of its own, and every gradient step follows the
    mean of all ranks' gradients, weighted by transitions; so all ranks have the same parameters, to the last bit where
    their processors are alike. The algorithm's own ``train()`` runs as it is.

    - **Numbers are those of one rank**: with ``N`` ranks an update is learned from ``N * n_envs`` environments, a
      gradient step from ``N * batch_size`` transitions, and ``learn(total_timesteps)`` collects
      ``N * total_timesteps``. Logged steps, frames per second, rewards and losses are those of rank 0.
    - **Seeds**: ranks sample differently. Environments are numbered across the ranks: number ``i`` of rank ``r`` is
      seeded with ``seed + r * n_envs + i``, as in one process with all of them. Without a seed, rank 0 draws one.
    - **Advantages** are normalised, and GRPO's episodes compared, within each rank.
    - **Early stops**: ``target_kl`` looks at the mean over the ranks. A callback that stops one rank stops all, at the
      latest at the end of the rollout. :class:`~agents.ReferenceKLCallback` measures the mean over the ranks.
    - **Rank 0 alone logs and saves.** Call ``save`` on every rank: the others wait until it is done. Checkpoints,
      evaluations and progress bars of Stable-Baselines3 run on rank 0; so do callbacks with an attribute
      ``only_rank_0 = True``, which must not change what is learned. One that changes it by what it measures on a
      rollout has to measure the same everywhere: see :func:`agents.parallel.ranks.mean_over_ranks`.
    - **Devices**: gloo on CPU; on GPUs nccl, with ``device=f"cuda:{os.environ['LOCAL_RANK']}"``. Without a GPU give
      each rank a core: ``OMP_NUM_THREADS=1``, which torchrun sets.

    With one process nothing is changed.

    Args:
        model: PPO, A2C or DQN of Stable-Baselines3, MaskablePPO or QRDQN of sb3-contrib.
        timeout: Seconds that a rank waits for the others before it gives up.

    Returns:
        The same model.

    Raises:
        ConfigurationError: The script was not started by torchrun, the algorithm cannot be learned so, or the ranks
            have different settings or share a GPU.
        DistributedError: Now or later: another rank has ended, or does not answer within ``timeout``.
    """
    if isinstance(model, DataParallelAlgorithm):
        return model
    _check_algorithm(model)
    if start_process_group(model.device, timeout) == 1:
        return model
    ranks = Ranks(model.device, timeout)
    ranks.check_same(_settings(model))
    _check_devices(ranks, model.device)
    _copy_parameters(ranks, model)
    _seed(ranks, model)
    gradients = GradientAverage(_trained(model), ranks)
    model._parallel = Parallel(ranks, gradients)  # type: ignore[attr-defined]
    if not ranks.is_first:
        _be_silent(model)
    kind = type(model)
    model.__class__ = types.new_class(kind.__name__, (DataParallelAlgorithm, kind))
    return model


def _check_algorithm(model: Any) -> None:
    names = {kind.__name__ for kind in type(model).__mro__}
    train_freq = getattr(model, "train_freq", None)
    if not names & set(ALGORITHMS):
        reason = (
            f"{type(model).__name__} is none of {', '.join(ALGORITHMS)}, whose every update follows a backward() that "
            "the processes can share (TRPO's follows a conjugate gradient)"
        )
    elif train_freq is not None and train_freq.unit == TrainFrequencyUnit.EPISODE:
        reason = (
            f"train_freq={tuple(train_freq)!r} counts episodes, which end at different times in each process: count "
            "steps, as in train_freq=(32, 'step')"
        )
    elif model.get_env() is None:
        reason = "the model has no environment: pass env= to load(), or call set_env()"
    elif model.get_vec_normalize_env() is not None:
        reason = "its environment is a VecNormalize, whose running mean and variance would differ in each process"
    else:
        return
    raise ConfigurationError(f"data_parallel() cannot train this model: {reason}.")


def _settings(model: Any) -> dict[str, Any]:
    """What has to be the same on all ranks: all plain settings, and the shapes of what is trained."""
    plain = {
        name: value
        for name, value in vars(model).items()
        if isinstance(value, int | float | str | tuple | None) and name not in OWN_SETTINGS
    }
    shapes = [tuple(parameter.shape) for parameter in _trained(model)]
    return {**plain, "algorithm": type(model).__name__, "policy": type(model.policy).__name__, "parameters": shapes}


def _check_devices(ranks: Ranks, device: th.device) -> None:
    """Refuse two ranks on one GPU, with which nccl cannot work, and GPUs beside CPUs."""
    index = th.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    places = ranks.gather((socket.gethostname(), device.type, index))
    if len({kind for _, kind, _ in places}) > 1 or (device.type == "cuda" and len(set(places)) < len(places)):
        raise ConfigurationError(
            "each rank needs a GPU of its own, or all of them the CPU; got (host, device, number) "
            f"{', '.join(map(str, places))}. Build the model with device=f\"cuda:{{os.environ['LOCAL_RANK']}}\" and "
            "start at most as many processes as there are GPUs, or with device='cpu'."
        )


def _copy_parameters(ranks: Ranks, model: Any) -> None:
    """Give every rank the parameters and the optimizer's state of rank 0, as a saved model has them."""
    saved = io.BytesIO()
    if ranks.is_first:
        model.save(saved)
    model.set_parameters(io.BytesIO(ranks.from_first(saved.getvalue())), device=model.device)


def _seed(ranks: Ranks, model: Any) -> None:
    """Seed everything, on every rank differently; environments as in one process with all of them."""
    seed = ranks.from_first(secrets.randbits(31) if model.seed is None else model.seed)
    model.set_random_seed(seed + ranks.rank * model.n_envs)


def _be_silent(model: Any) -> None:
    """Write nothing: what there is to say, rank 0 says."""
    logging.getLogger("agents").setLevel(logging.ERROR)
    model.verbose = 0
    model.tensorboard_log = None
    if model._custom_logger:
        model.set_logger(Logger(None, []))


def _trained(model: Any) -> Iterator[th.nn.Parameter]:
    return (parameter for group in model.policy.optimizer.param_groups for parameter in group["params"])
