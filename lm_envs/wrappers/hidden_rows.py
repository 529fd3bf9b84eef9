"""A frozen language model's hidden states as observations: what both HiddenStateObservation classes do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from lm_envs.errors import ConfigurationError
from lm_envs.wrappers.rows import Batch, BoolArray
from lm_envs.wrappers.token_environment import TokenEnvironment, layers

if TYPE_CHECKING:
    from lm_envs.wrappers.frozen_rows import FrozenRows

POOLINGS = ("last", "mean")


class HiddenRows:
    """Hidden states of the texts of ``n_rows`` episodes.

    Args:
        environment: What is wrapped. Where one of its layers runs the same model, that one's results are used.
        model: Alias, hub id or folder; None for the environment's model.
        pooling: ``"last"`` or ``"mean"``.
        normalize: Whether to bring each vector to mean 0 and variance 1.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: Where the model runs; None for a GPU if there is one.

    Attributes:
        observation_space: Of one row.
        lm: The language model beside the rows.

    Raises:
        ConfigurationError: Unknown ``pooling``, or the environment's text does not grow.
        ModelError: The model cannot be loaded or does not fit.
    """

    def __init__(
        self, environment: TokenEnvironment, model: str | None, pooling: str, normalize: bool, dtype: str, device: Any
    ) -> None:
        if pooling not in POOLINGS:
            raise ConfigurationError(f"pooling must be one of {', '.join(POOLINGS)}; got {pooling!r}")
        environment.check_reads_to_the_end()
        self.pooling = pooling
        self.normalize = normalize
        self.n_rows = environment.n_rows
        self.lm = _shared_rows(environment, model or environment.vocabulary.model, dtype, device)
        if pooling == "mean":
            self.lm.keep_all()
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.lm.lm.hidden_size,), np.float32)

    def observe(self, obs: Batch, wanted: BoolArray) -> npt.NDArray[np.float32]:
        """Hidden states ``(n_rows, hidden_size)``; zeros in the rows that are not ``wanted``."""
        shape = (self.n_rows, *self.observation_space.shape)
        states = self._states(obs) if wanted.any() else np.zeros(shape, dtype=np.float32)
        states[~wanted] = 0.0
        return states

    def _states(self, obs: Batch) -> npt.NDArray[np.float32]:
        import torch as th

        with th.inference_mode():
            hidden = self.lm.last_hidden(obs) if self.pooling == "last" else self.lm.mean_hidden(obs)
            hidden = hidden.to(th.float32, copy=True)  # the results are shared with other wrappers
            if self.normalize:
                hidden = th.nn.functional.layer_norm(hidden, hidden.shape[-1:])
            return hidden.cpu().numpy()


def _shared_rows(environment: TokenEnvironment, model: str, dtype: str, device: Any) -> FrozenRows:
    """The language model of a layer below if it is the same, else a new one."""
    from lm_envs.wrappers.frozen_rows import FrozenRows  # imports torch

    for layer in layers(environment.env):
        lm = getattr(getattr(layer, "_rows", None), "lm", None)
        if isinstance(lm, FrozenRows) and lm.key == FrozenRows.make_key(model, dtype, device):
            return lm
    return FrozenRows(model, environment.vocabulary, environment.n_rows, environment.capacity, dtype, device)
