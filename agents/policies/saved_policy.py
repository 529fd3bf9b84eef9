"""A policy out of a Stable-Baselines3 zip, without its algorithm and without environments."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

from lm_envs.errors import CheckpointError, LMEnvsError


def load_policy(path: str | Path, device: str = "auto") -> BasePolicy:
    """Load the policy that ``model.save(path)`` saved, whatever the algorithm and the policy's class.

    The zip holds pickled Python objects: load only files that you trust.

    Args:
        path: The zip.
        device: Where the policy goes.

    Raises:
        CheckpointError: The file is missing or damaged, or holds no policy.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"there is no saved model {str(path)!r}.")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{str(path)!r} is damaged or no saved model: it is not a zip.")
    try:
        data, params, _ = load_from_zip_file(str(path), device=device)
        assert data is not None
        policy_class = data.get("policy_class")
        if not (isinstance(policy_class, type) and issubclass(policy_class, BasePolicy)):
            raise CheckpointError(f"{str(path)!r} holds no policy of Stable-Baselines3; its class is {policy_class!r}.")
        kwargs = {key: value for key, value in data["policy_kwargs"].items() if key != "use_sde"}
        policy: Any = policy_class(data["observation_space"], data["action_space"], lambda _: 0.0, **kwargs)
        policy.load_state_dict(params["policy"])
        policy.set_training_mode(False)
    except LMEnvsError:
        raise
    except Exception as error:  # unpickling a damaged file raises anything
        raise CheckpointError(f"{str(path)!r} is damaged: {type(error).__name__}: {error}") from error
    return policy.to(_device(device))


def _device(device: str) -> str:
    from stable_baselines3.common.utils import get_device

    return str(get_device(device))
