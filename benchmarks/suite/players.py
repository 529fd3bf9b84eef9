"""Agents that learn nothing: they act at random, from a script, or by the rules of the simulated user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy

from lm_envs.dialogue.partners.agenda_acts import DeskActs
from lm_envs.dialogue.partners.agenda_policy import HandWrittenPolicy
from lm_envs.world.dialogues import DOMAINS


class RandomPlayer(BasePolicy):
    """Draws every action uniformly from those that are legal.

    Args:
        observation_space: Of the environment.
        action_space: Discrete.
        seed: Of the draws.
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Discrete, seed: int) -> None:
        super().__init__(observation_space, action_space)
        self._n_actions = int(action_space.n)
        self._rng = np.random.default_rng(seed)

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        draws = self._rng.random((len(observation["input_ids"]), self._n_actions))
        if "action_mask" in observation:
            draws[observation["action_mask"].cpu().numpy() == 0] = -1.0
        return th.as_tensor(draws.argmax(axis=1))


class ScriptPlayer(BasePolicy):
    """Takes given actions, one after the other; when they are used up, the last one again.

    Args:
        observation_space: Of the environment.
        action_space: Discrete.
        script: The actions of each of the episodes that run side by side, at least one each.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Discrete, script: Sequence[Sequence[int]]
    ) -> None:
        super().__init__(observation_space, action_space)
        self._script = script
        self._step = -1

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        self._step += 1
        return th.tensor([actions[min(self._step, len(actions) - 1)] for actions in self._script])


class HandWrittenPlayer(BasePolicy):
    """Serves the simulated user of ``Dialogue-v0`` by the policy that knows its rules.

    Args:
        observation_space: Of the environment with ``actions="acts"``.
        action_space: Its acts.
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Discrete) -> None:
        super().__init__(observation_space, action_space)
        self._rules = HandWrittenPolicy(DeskActs(1, DOMAINS))

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        states = observation["dialogue_state"].cpu().numpy().astype(np.int8)
        return th.tensor([self._rules.choose(state) for state in states])
