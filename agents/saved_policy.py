"""A policy out of a Stable-Baselines3 zip, without its algorithm and without environments."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from stable_baselines3.common.save_util import load_from_zip_file

from agents.policies import LMActorCriticPolicy
from lm_envs.errors import CheckpointError, LMEnvsError


def load_policy(path: str | Path, device: str = "auto") -> LMActorCriticPolicy:
    """Load the policy that ``model.save(path)`` saved, whatever the algorithm.

    The zip holds pickled Python objects: load only files that you trust.

    Args:
        path: The zip.
        device: Where the policy goes.

    Raises:
        CheckpointError: The file is missing, damaged, or of another kind of policy.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"there is no saved model {str(path)!r}.")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{str(path)!r} is damaged or no saved model: it is not a zip.")
    try:
        data, params, _ = load_from_zip_file(str(path), device=device)
        assert data is not None
        if data["policy_class"] is not LMActorCriticPolicy:
            raise CheckpointError(
                f"{str(path)!r} has a {data['policy_class']}; expected a policy of the class LMActorCriticPolicy."
            )
        kwargs = {key: value for key, value in data["policy_kwargs"].items() if key != "use_sde"}
        policy = LMActorCriticPolicy(data["observation_space"], data["action_space"], lambda _: 0.0, **kwargs)
        weights: Any = params["policy"]
        policy.load_state_dict(weights)
    except LMEnvsError:
        raise
    except Exception as error:  # unpickling a damaged file raises anything
        raise CheckpointError(f"{str(path)!r} is damaged: {type(error).__name__}: {error}") from error
    return policy.to(_device(device))


def _device(device: str) -> str:
    from stable_baselines3.common.utils import get_device

    return str(get_device(device))
