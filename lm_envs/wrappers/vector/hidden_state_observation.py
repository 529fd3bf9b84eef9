"""``HiddenStateObservation`` for vector environments; the single class documents it."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from lm_envs.wrappers.hidden_rows import HiddenRows
from lm_envs.wrappers.rows import BoolArray
from lm_envs.wrappers.token_environment import TokenEnvironment, layers
from lm_envs.wrappers.vector.row_observations import RowObservations


class HiddenStateObservation(RowObservations):
    """Observe the text of every row as the vector that a frozen language model makes of it.

    Row ``i`` behaves like the single :class:`lm_envs.wrappers.HiddenStateObservation`, which documents it, around row
    ``i`` of the environment. The language model reads all rows in one pass.

    Args:
        env: A token environment, such as ``gym.make_vec("TextGen-v0", num_envs=64)``.
        model: Alias, hub id or folder of the language model; None for the environment's.
        pooling: ``"last"`` token, or ``"mean"`` over all tokens.
        normalize: Whether to bring each vector to mean 0 and variance 1.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: Where the model runs; None for a GPU if there is one.

    Raises:
        ConfigurationError: An argument has a value that cannot work, or ``env`` is no token environment.
        ModelError: The model cannot be loaded, or its vocabulary has another size than the environment's.
    """

    _rows: HiddenRows

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        model: str | None = None,
        pooling: str = "last",
        normalize: bool = False,
        dtype: str = "float32",
        device: Any = None,
    ) -> None:
        super().__init__(env, HiddenRows(TokenEnvironment(env), model, pooling, normalize, dtype, device))

    def action_masks(self) -> BoolArray:
        """The wrapped environment's legal actions, ``(num_envs, n_actions)`` bool."""
        for layer in layers(self.env):
            if hasattr(layer, "action_masks"):
                masks: BoolArray = layer.action_masks()
                return masks
        return np.stack(self.env.unwrapped.call("action_masks"))  # type: ignore[attr-defined]
