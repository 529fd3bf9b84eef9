"""Which weights of a policy are trained and saved: frozen ones come back from the model's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from agents.networks.trained_model import TrainedModel
from lm_envs.errors import CheckpointError


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Names and tensors of everything in a module that is trained and saved, each tensor once."""
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for prefix, child in module.named_children():
        own = dict(child.own_parameters()) if isinstance(child, TrainedModel) else _of_other(child)
        for name, parameter in own.items():
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{prefix}.{name}"] = parameter
    return found


def _of_other(module: nn.Module) -> dict[str, nn.Parameter]:
    return {**dict(module.named_parameters(recurse=False)), **trained_parameters(module)}


class TrainedWeights(nn.Module):
    """A module that saves and loads what is trained of it, and nothing else."""

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Trained weights only: frozen ones come back from the model's name."""
        full = super().state_dict(*args, **kwargs)
        if kwargs.get("prefix"):  # a part of a larger module, which chooses for itself
            return full
        return {name: full[name] for name in trained_parameters(self)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load trained weights.

        Raises:
            CheckpointError: If names or shapes differ from this module's; nothing is loaded then.
        """
        expected = trained_parameters(self)
        wrong = sorted(set(expected) ^ set(state_dict)) if strict else []
        both = expected.keys() & state_dict.keys()
        wrong += [name for name in both if expected[name].shape != state_dict[name].shape]
        if wrong:
            raise CheckpointError(
                f"the checkpoint does not fit this policy ({self.description()}): {len(wrong)} weights differ, for "
                f"example {wrong[0]!r}. Load it with the policy_kwargs that it was saved with."
            )
        return super().load_state_dict(state_dict, strict=False, assign=assign)

    def description(self) -> str:
        """What errors say this is."""
        return type(self).__name__
