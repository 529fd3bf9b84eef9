"""Whole token sequences and the transitions in them.

A causal transformer yields the outputs of all prefixes of a sequence in one pass. Every transition of a rollout is
therefore a pair (row, position): the prefix of ``row`` that ends at ``position``. An encoder reads what was observed,
so each prefix that was observed is a text of its own; where an episode's tokens stay the same, there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch as th

from lm_envs.inference.transfers import to_device, to_device_together

MIN_SAVING = 0.15  # share of padded positions that splitting a batch must save to be worth a second pass
MIN_BUCKET_TOKENS = 512  # below this a pass costs its overhead, not its tokens
CPU_BUCKET_TOKENS = 4096  # larger tensors leave a core's caches, and get their memory from the system anew every time


@dataclass
class PackedSequences:
    """A minibatch: whole sequences, and the transitions that it asks for.

    Attributes:
        input_ids: ``(n_rows, n_tokens)`` integer tokens, right-padded, rows in descending order of length.
        lengths: ``(n_rows,)`` int64 on the CPU.
        rows: ``(n,)`` int64, row of each transition.
        positions: ``(n,)`` int64, position of the last token of each transition's observation.
        columns: What else the observations hold, by its key in the observation: ``(n, ...)`` each.
        vocab_size: Number of tokens of the environment that they come from, where it is known.
        observer: Called with the network's output for the transitions; returns what takes its place.
    """

    input_ids: th.Tensor
    lengths: np.ndarray
    rows: th.Tensor
    positions: th.Tensor
    columns: dict[str, th.Tensor] = field(default_factory=dict)
    vocab_size: int | None = None
    observer: Callable[[th.Tensor], th.Tensor] | None = None
    _hidden: dict[tuple[int, bool, bool], list[th.Tensor]] | None = None

    def __len__(self) -> int:
        """Number of transitions."""
        return self.rows.shape[0]

    def __getitem__(self, part: slice) -> PackedSequences:
        """A part of the transitions, as TRPO's ``sub_sampling_factor`` asks for it; the sequences stay whole."""
        columns = {key: values[part] for key, values in self.columns.items()}
        return replace(
            self, rows=self.rows[part].contiguous(), positions=self.positions[part].contiguous(), columns=columns
        )

    def at(self, rows: th.Tensor, positions: th.Tensor, columns: dict[str, th.Tensor]) -> PackedSequences:
        """Other transitions in the same sequences. From now on each model computes the sequences once for both."""
        if self._hidden is None:
            self._hidden = {}
        return replace(self, rows=rows, positions=positions, columns=columns, observer=None)

    def transition_hidden(self, model: Callable[..., th.Tensor]) -> th.Tensor:
        """Hidden states ``(n, hidden_size)`` of each transition's observation, differentiable.

        It is that of the token at the observation's ``cursor``, where it has one; else of its last token, or with an
        encoder what stands for the whole text.

        Args:
            model: Maps tokens ``(n_rows, n_tokens)`` to hidden states ``(n_rows, n_tokens, hidden_size)``. With an
                attribute ``reads_ahead`` that is true, it gets the rows' lengths ``(n_rows,)`` too, and has a method
                ``of_texts`` as :class:`~agents.networks.encoder.Encoder`.
        """
        if not getattr(model, "reads_ahead", False):
            return self._hidden_at_cursors(model)
        read = self._as_read()
        return read._hidden_at_cursors(model) if "cursor" in self.columns else read._hidden_of_texts(model)

    def _as_read(self) -> PackedSequences:
        """The same with a sequence for each prefix that was observed: what follows it must not be read."""
        lengths = th.as_tensor(self.lengths, device=self.rows.device)
        if bool((self.positions == lengths[self.rows] - 1).all()):
            return self
        different, rows = (self.positions * len(self.lengths) + self.rows).unique(return_inverse=True)
        different, rows = different.flip(0), len(different) - 1 - rows  # long ones first
        ids = self.input_ids[different % len(self.lengths)]
        observed = different // len(self.lengths) + 1
        return replace(self, input_ids=ids, lengths=observed.cpu().numpy(), rows=rows, _hidden=None)

    def _hidden_of_texts(self, model: Any) -> th.Tensor:
        buckets = self._buckets()
        widths = [int(self.lengths[start]) for start, _ in buckets]
        parts = zip(self._computed(model, buckets, widths), buckets, widths, strict=True)
        texts = [
            model.of_texts(hidden.unflatten(0, (-1, width)), self.lengths[start:stop])
            for hidden, (start, stop), width in parts
        ]
        return th.cat(texts)[self.rows]

    def _hidden_at_cursors(self, model: Callable[..., th.Tensor]) -> th.Tensor:
        cursor = self.columns.get("cursor")
        positions = self.positions if cursor is None else cursor.long().flatten()
        buckets = self._buckets()
        widths = [int(self.lengths[start]) for start, _ in buckets]
        hidden = self._computed(model, buckets, widths)
        if len(buckets) == 1:
            return hidden[0][self.rows * widths[0] + positions]
        firsts = np.array([start for start, _ in buckets])
        areas = [(stop - start) * width for (start, stop), width in zip(buckets, widths, strict=True)]
        planned = [firsts, np.cumsum([0, *areas[:-1]]), np.array(widths)]
        starts, offsets, row_widths = to_device_together(planned, self.rows.device)
        bucket = th.searchsorted(starts, self.rows, right=True) - 1
        within = (self.rows - starts[bucket]) * row_widths[bucket] + positions
        return th.cat(hidden)[offsets[bucket] + within]

    def _buckets(self) -> list[tuple[int, int]]:
        """Rows from start to stop that go through a model at once; on a CPU few enough to stay in its caches."""
        buckets = _length_buckets(self.lengths)
        if self.input_ids.device.type != "cpu":
            return buckets
        steps = [max(1, CPU_BUCKET_TOKENS // int(self.lengths[start])) for start, _ in buckets]
        return [
            (first, min(first + step, stop))
            for (start, stop), step in zip(buckets, steps, strict=True)
            for first in range(start, stop, step)
        ]

    def _computed(
        self, model: Callable[..., th.Tensor], buckets: list[tuple[int, int]], widths: list[int]
    ) -> list[th.Tensor]:
        """Hidden states of all positions, ``(n_rows * width, hidden_size)`` for each bucket of rows."""
        key = (id(model), th.is_grad_enabled(), getattr(model, "adapter_is_off", False))
        if self._hidden is not None and key in self._hidden:
            return self._hidden[key]
        told = getattr(model, "reads_ahead", False)
        hidden = [
            model(self.input_ids[start:stop, :width], *([self.lengths[start:stop]] if told else ())).flatten(0, 1)
            for (start, stop), width in zip(buckets, widths, strict=True)
        ]
        if self._hidden is not None:
            self._hidden[key] = hidden
        return hidden


def _length_buckets(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Cut rows, longest first, in two where it saves enough padding; and the parts again."""
    if len(lengths) == 0:
        return []

    def cut(start: int, stop: int) -> list[tuple[int, int]]:
        counts = np.arange(1, stop - start)
        area = int(lengths[start]) * (stop - start)
        saving = (stop - start - counts) * (lengths[start] - lengths[start + 1 : stop])
        if len(counts) == 0 or saving.max() < MIN_SAVING * area or area < MIN_BUCKET_TOKENS:
            return [(start, stop)]
        middle = start + 1 + int(saving.argmax())
        return cut(start, middle) + cut(middle, stop)

    return cut(0, len(lengths))


def pack_observations(obs: Mapping[str, th.Tensor]) -> tuple[PackedSequences, th.Tensor]:
    """Treat each observation of a plain batch as a sequence with one transition at its end.

    Args:
        obs: ``input_ids`` and ``attention_mask``, each ``(n, n_tokens)``.

    Returns:
        The sequences, sorted by length, and the indices ``(n,)`` that bring results back into the batch's order.
    """
    lengths, order = obs["attention_mask"].sum(dim=1).sort(descending=True, stable=True)
    rows = th.arange(len(order), device=order.device)
    columns = {key: obs[key][order] for key in obs.keys() - {"input_ids", "attention_mask"}}
    packed = PackedSequences(obs["input_ids"][order], lengths.cpu().numpy(), rows, lengths - 1, columns)
    return packed, order.argsort()


class SequenceStore:
    """Tokens of a rollout's sequences, each stored once, and where each transition lies in them.

    Args:
        n_steps: Number of steps.
        n_envs: Number of environments.
        max_tokens: Length of an observation.

    Attributes:
        n_rows: Number of sequences so far.
        tokens: ``(capacity, max_tokens)`` int32; the first ``n_rows`` rows count.
        lengths: ``(capacity,)`` int64.
        row_of: ``(n_steps, n_envs)`` int64, the sequence of each transition.
        position_of: ``(n_steps, n_envs)`` int64, the position of its observation's last token.
    """

    def __init__(self, n_steps: int, n_envs: int, max_tokens: int) -> None:
        self.n_rows = 0
        self.tokens = np.zeros((2 * n_envs, max_tokens), dtype=np.int32)
        self.lengths = np.zeros(2 * n_envs, dtype=np.int64)
        self.row_of = np.zeros((n_steps, n_envs), dtype=np.int64)
        self.position_of = np.zeros((n_steps, n_envs), dtype=np.int64)
        self._columns = np.arange(max_tokens)
        self._current = np.full(n_envs, -1)

    def clear(self) -> None:
        """Forget all sequences."""
        self.n_rows = 0
        self._current.fill(-1)

    def add(self, step: int, input_ids: np.ndarray, attention_mask: np.ndarray, starts: np.ndarray) -> None:
        """Store one step's observations; those that extend the sequence before them add to it.

        Args:
            step: Index of the step.
            input_ids: ``(n_envs, max_tokens)`` int32.
            attention_mask: ``(n_envs, max_tokens)``.
            starts: ``(n_envs,)`` whether the observation begins an episode.
        """
        lengths = attention_mask.sum(axis=1, dtype=np.int64)
        current = self._current
        known = self._columns < self.lengths[current][:, None]
        changed = ((self.tokens[current] != input_ids) & known).any(axis=1)
        new = changed | (lengths < self.lengths[current]) | (starts > 0) | (current < 0)
        n_new = int(new.sum())
        if n_new:
            self._reserve(self.n_rows + n_new)
            current[new] = np.arange(self.n_rows, self.n_rows + n_new)
            self.n_rows += n_new
        self.tokens[current] = input_ids
        self.lengths[current] = lengths
        self.row_of[step] = current
        self.position_of[step] = lengths - 1

    def _reserve(self, n_rows: int) -> None:
        missing = n_rows - len(self.tokens)
        if missing > 0:
            grow = max(missing, len(self.tokens))
            self.tokens = np.pad(self.tokens, ((0, grow), (0, 0)))
            self.lengths = np.pad(self.lengths, (0, grow))

    def parts(self, n_tokens: int) -> list[np.ndarray]:
        """Split all sequences, longest first, into parts of about ``n_tokens`` tokens, padding included."""
        order = np.argsort(-self.lengths[: self.n_rows], kind="stable")
        part_of = np.cumsum(self.lengths[order]) // n_tokens
        return [order[part_of == part] for part in np.unique(part_of)]

    def pack(self, chosen: np.ndarray, device: th.device | str) -> tuple[PackedSequences, np.ndarray]:
        """Build the minibatch of some sequences.

        Args:
            chosen: ``(k,)`` sequence numbers.
            device: Where the tensors go.

        Returns:
            The minibatch, and for each of its transitions the flat index ``step * n_envs + env`` ``(n,)``.
        """
        ordered = chosen[np.argsort(-self.lengths[chosen], kind="stable")]
        rank = np.full(self.n_rows, -1)
        rank[ordered] = np.arange(len(ordered))
        rows = rank[self.row_of.ravel()]
        indices = np.flatnonzero(rows >= 0)
        indices = indices[np.argsort(rows[indices], kind="stable")]
        lengths = self.lengths[ordered]
        ids = to_device(self.tokens[ordered, : lengths[0]], device)
        row_of, position_of = to_device_together([rows[indices], self.position_of.ravel()[indices]], device)
        packed = PackedSequences(ids, lengths, row_of, position_of)
        return packed, indices
