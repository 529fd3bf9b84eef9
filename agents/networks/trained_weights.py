"""Which weights of a policy are trained and saved: frozen ones come back from the model's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from agents.networks.language_model import LanguageModel
from lm_envs.errors import CheckpointError


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Names and tensors of everything in a module that is trained and saved, each tensor once."""
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for prefix, child in module.named_children():
        own = dict(child.own_parameters()) if isinstance(child, LanguageModel) else _of_other(child)
        for name, parameter in own.items():
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{prefix}.{name}"] = parameter
    return found


def _of_other(module: nn.Module) -> dict[str, nn.Parameter]:
    return {**dict(module.named_parameters(recurse=False)), **trained_parameters(module)}


def check_state_dict(module: nn.Module, state_dict: Mapping[str, Any], strict: bool, description: str) -> None:
    """Check saved weights before anything is loaded.

    Args:
        module: What they are for.
        state_dict: Weights by name.
        strict: Whether the names have to be the same.
        description: The policy's arguments, for the error.

    Raises:
        CheckpointError: If names or shapes differ from the module's.
    """
    expected = trained_parameters(module)
    wrong = sorted(set(expected) ^ set(state_dict)) if strict else []
    wrong += [name for name in expected.keys() & state_dict.keys() if expected[name].shape != state_dict[name].shape]
    if wrong:
        raise CheckpointError(
            f"the checkpoint does not fit this policy ({description}): {len(wrong)} weights differ, for example "
            f"{wrong[0]!r}. Load it with the policy_kwargs that it was saved with."
        )
