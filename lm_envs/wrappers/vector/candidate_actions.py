"""``CandidateActions`` for vector environments; the single class documents it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from lm_envs.wrappers.candidate_rows import CandidateRows, CandidateSettings
from lm_envs.wrappers.rows import Batch, BoolArray
from lm_envs.wrappers.token_environment import TokenEnvironment
from lm_envs.wrappers.vector.row_observations import RowObservations


class CandidateActions(RowObservations):
    """Choose the next token of every row among the ``k`` that a frozen language model finds most probable.

    Row ``i`` behaves like the single :class:`lm_envs.wrappers.CandidateActions`, which documents it, around row
    ``i`` of the environment. The language model reads all rows in one pass.

    Args:
        env: A token environment, such as ``gym.make_vec("TextGen-v0", num_envs=64)``.
        k: Number of candidates.
        model: Alias, hub id or folder of the language model; None for the environment's.
        temperature: Divides the logits.
        top_p: Share of the probability that candidates are taken from.
        sample: What ``single_action_space.sample()`` draws: ``"uniform"`` or ``"lm"``.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: Where the model runs; None for a GPU if there is one.

    Raises:
        ConfigurationError: An argument has a value that cannot work, or ``env`` is no token environment.
        ModelError: The model cannot be loaded, or its vocabulary has another size than the environment's.
    """

    _rows: CandidateRows

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        k: int = 16,
        *,
        model: str | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        sample: str = "uniform",
        dtype: str = "float32",
        device: Any = None,
    ) -> None:
        settings = CandidateSettings(k, temperature, top_p, sample)
        rows = CandidateRows(TokenEnvironment(env), settings, model, dtype, device)
        super().__init__(env, rows)
        self.single_action_space = rows.action_space
        self.action_space = batch_space(rows.action_space, env.num_envs)

    def action_masks(self) -> BoolArray:
        """Which slots hold a candidate of their own, ``(num_envs, k)`` bool."""
        return self._rows.action_masks()

    def _inner_actions(self, actions: Any) -> npt.NDArray[np.int64]:
        return self._rows.tokens(actions, (self.num_envs,))

    def _observe(self, obs: Batch, wanted: BoolArray) -> Batch:
        candidates = self._rows.observe(obs, wanted)
        self._rows.remember(candidates)
        return candidates
