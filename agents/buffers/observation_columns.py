"""What observations hold beside their tokens, in the form in which buffers store it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch as th
from gymnasium import spaces

from agents.buffers.action_mask_table import ActionMaskTable
from lm_envs.inference.transfers import to_device

TOKEN_KEYS = ("input_ids", "attention_mask")
MASK_ELEMENTS = 2**27  # unpacked at once: 128 MiB


class ObservationColumns:
    """Turns what observations hold beside tokens into arrays to store, and those into tensors.

    Masks of legal actions are stored as numbers, each different mask once; integers in the narrowest dtype.

    Args:
        observation_space: That of a token environment.

    Attributes:
        layout: dtype and shape of what is stored for one observation, by key; empty where there are only tokens.
    """

    def __init__(self, observation_space: spaces.Dict) -> None:
        self.layout: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._mask_table: ActionMaskTable | None = None
        for key, space in observation_space.spaces.items():
            if key == "action_mask":
                assert space.shape is not None
                self._mask_table = ActionMaskTable(space.shape[0])
                self.layout[key] = (np.dtype(np.int32), ())
            elif key not in TOKEN_KEYS:
                self.layout[key] = (_narrowest(space), space.shape or ())

    def zeros(self, *shape: int) -> dict[str, np.ndarray]:
        """Room for ``shape`` observations: arrays ``(*shape, ...)``."""
        return {key: np.zeros((*shape, *rest), dtype) for key, (dtype, rest) in self.layout.items()}

    def compact(self, obs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What to store of ``n`` observations: arrays ``(n, ...)`` of their own."""
        stored = {}
        for key in self.layout:
            is_mask = key == "action_mask" and self._mask_table is not None
            values = self._mask_table.numbers(obs[key]) if is_mask else obs[key]  # type: ignore[union-attr]
            stored[key] = np.array(values, dtype=self.layout[key][0])
        return stored

    def tensors(self, stored: Mapping[str, np.ndarray], device: th.device | str) -> dict[str, th.Tensor]:
        """Tensors ``(n, ...)`` of what is stored; masks are bool.

        Args:
            stored: Arrays ``(n, ...)``, from :meth:`compact`.
            device: Where the tensors go.
        """
        found = {}
        for key, values in stored.items():
            if key == "action_mask" and self._mask_table is not None:
                found[key] = mask_tensor(self._mask_table, values, device)
            else:
                if values.dtype.kind == "u":  # torch barely knows uint16
                    values = values.astype(np.int32 if values.dtype.itemsize < 4 else np.int64)
                found[key] = to_device(values, device)
        return found

    @property
    def nbytes(self) -> int:
        """Memory of the different masks, in bytes."""
        return 0 if self._mask_table is None else self._mask_table.nbytes


def _narrowest(space: spaces.Space) -> np.dtype:
    """The narrowest dtype that holds a space's values; that of floating point values stays."""
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.integer) and space.low.min() >= 0:
        return np.min_scalar_type(int(space.high.max()))
    return np.dtype(space.dtype)


def rows_at_once(most: int, observation_space: spaces.Space) -> int:
    """How many observations to evaluate together: at most ``most``, and so that their masks stay small."""
    assert isinstance(observation_space, spaces.Dict)
    if "action_mask" not in observation_space.spaces:
        return most
    (n_actions,) = observation_space["action_mask"].shape  # type: ignore[misc]
    return max(1, min(most, MASK_ELEMENTS // n_actions))


def mask_tensor(table: ActionMaskTable, numbers: np.ndarray, device: th.device | str) -> th.Tensor:
    """Masks ``(n, n_actions)`` bool of their numbers ``(n,)``; each different one is unpacked and moved once."""
    distinct, which = np.unique(numbers, return_inverse=True)
    masks = to_device(table.masks(distinct), device)
    return masks.expand(len(numbers), -1) if len(distinct) == 1 else masks[to_device(which, device)]
