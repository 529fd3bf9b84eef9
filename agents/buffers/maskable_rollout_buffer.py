"""The rollout buffer for sb3-contrib's ``MaskablePPO``, which stores masks of legal actions with the transitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from agents.buffers.action_mask_table import ActionMaskTable
from agents.buffers.observation_columns import mask_tensor
from agents.buffers.sequence_rollout_buffer import SequenceRolloutBuffer
from agents.networks.action_kinds import number_of_actions
from agents.networks.sequences import PackedSequences
from lm_envs.errors import MissingDependencyError

try:
    from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer, MaskableDictRolloutBufferSamples
except ImportError as error:
    raise MissingDependencyError.for_package("sb3-contrib", "contrib", "MaskableSequenceRolloutBuffer") from error


class MaskableSequenceRolloutBuffer(SequenceRolloutBuffer):
    """:class:`~agents.SequenceRolloutBuffer` for ``MaskablePPO`` of sb3-contrib: samples have ``action_masks``, bool.

    Each different mask is stored once. Where observations have an ``action_mask`` too, an action is legal if both say
    so.
    """

    def reset(self) -> None:
        """Empty the buffer."""
        super().reset()
        self._mask_table = ActionMaskTable(number_of_actions(self.action_space))
        self._mask_numbers = np.zeros((self.buffer_size, self.n_envs), dtype=np.int32)

    def add(self, *args: Any, action_masks: np.ndarray | None = None, **kwargs: Any) -> None:
        """Store one step of every environment.

        Args:
            *args: See :meth:`SequenceRolloutBuffer.add`.
            action_masks: ``(n_envs, n_actions)``, nonzero for legal actions; None: all are.
            **kwargs: As ``args``.
        """
        shape = (self.n_envs, self._mask_table.n_actions)
        masks = np.ones(shape, dtype=bool) if action_masks is None else action_masks.reshape(shape)
        self._mask_numbers[self.pos] = self._mask_table.numbers(masks)
        super().add(*args, **kwargs)

    def columns_at(self, indices: np.ndarray) -> dict[str, th.Tensor]:
        """See :meth:`SequenceRolloutBuffer.columns_at`; there is an ``action_mask`` wherever some action is illegal."""
        columns = super().columns_at(indices)
        masks = mask_tensor(self._mask_table, self._mask_numbers.ravel()[indices], self.device)
        if not masks.all():
            columns["action_mask"] = masks & columns.get("action_mask", th.ones_like(masks))
        return columns

    def _samples_at(self, packed: PackedSequences, indices: np.ndarray) -> Any:
        samples: Any = super()._samples_at(packed, indices)
        masks = packed.columns.get("action_mask")
        if masks is None:
            all_legal = th.ones((1, self._mask_table.n_actions), dtype=th.bool, device=self.device)
            masks = all_legal.expand(len(indices), -1)
        return MaskableDictRolloutBufferSamples(**samples._asdict(), action_masks=masks)


# MaskablePPO asks with isinstance; inheriting would bring arrays of all observations and of a mask for each.
MaskableDictRolloutBuffer.register(MaskableSequenceRolloutBuffer)
