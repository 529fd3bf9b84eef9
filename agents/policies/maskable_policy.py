"""The policy for sb3-contrib's ``MaskablePPO``, which hands masks of legal actions to its policy by argument."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.distributions import Distribution

from agents.networks.sequences import PackedSequences
from agents.policies.actor_critic import LMActorCriticPolicy, TokenObs
from lm_envs.errors import MissingDependencyError

try:
    from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
except ImportError as error:
    raise MissingDependencyError.for_package("sb3-contrib", "contrib", "LMMaskableActorCriticPolicy") from error

Masks = np.ndarray | th.Tensor | None


class LMMaskableActorCriticPolicy(LMActorCriticPolicy):
    """:class:`~agents.LMActorCriticPolicy` for ``MaskablePPO`` of sb3-contrib.

    Its methods take ``action_masks``, nonzero for legal actions. Where the observation has an ``action_mask`` too, an
    action is legal if both say so. PPO with :class:`~agents.LMActorCriticPolicy` keeps to the masks of observations
    without this class; ``MaskablePPO`` is for environments that tell masks by ``action_masks()`` only, and for
    comparisons.

    References:
        Huang and Ontañón 2022, https://arxiv.org/abs/2006.14171
    """

    def forward(  # type: ignore[override]
        self, obs: TokenObs, deterministic: bool = False, action_masks: Masks = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """See :meth:`LMActorCriticPolicy.forward`; ``action_masks`` is ``(n_envs, n_actions)``."""
        return super().forward(_masked(obs, action_masks), deterministic)

    predict: Any = MaskableActorCriticPolicy.predict  # calls _predict with the masks

    def _predict(  # type: ignore[override]
        self, observation: TokenObs, deterministic: bool = False, action_masks: Masks = None
    ) -> th.Tensor:
        return super()._predict(_masked(observation, action_masks), deterministic)

    def evaluate_actions(  # type: ignore[override]
        self, obs: PackedSequences | TokenObs, actions: th.Tensor, action_masks: Masks = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """See :meth:`LMActorCriticPolicy.evaluate_actions`; ``action_masks`` is ``(n, n_actions)``."""
        return super().evaluate_actions(_masked(obs, action_masks), actions)

    def get_distribution(  # type: ignore[override]
        self, obs: PackedSequences | TokenObs, action_masks: Masks = None
    ) -> Distribution:
        """See :meth:`LMActorCriticPolicy.get_distribution`; ``action_masks`` is ``(n, n_actions)``."""
        return super().get_distribution(_masked(obs, action_masks))


# MaskablePPO asks with isinstance; inheriting would bring a second constructor and networks that are not there.
MaskableActorCriticPolicy.register(LMMaskableActorCriticPolicy)


def _masked(obs: Any, action_masks: Masks) -> Any:
    """Observations whose ``action_mask`` also keeps to ``action_masks``."""
    if action_masks is None:
        return obs
    is_packed = isinstance(obs, PackedSequences)
    columns, tokens = (obs.columns, obs.input_ids) if is_packed else (obs, obs["input_ids"])
    n_rows = len(obs) if is_packed else len(tokens)
    masks = th.as_tensor(action_masks, device=tokens.device).bool().view(n_rows, -1)
    if masks.all():
        return obs
    if "action_mask" in columns:
        masks = masks & columns["action_mask"].bool()
    columns = {**columns, "action_mask": masks}
    return replace(obs, columns=columns) if is_packed else columns
