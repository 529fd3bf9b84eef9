"""Decode steps of static shape: a device repeats them without being told what is new.

In most steps of a rollout every slot appends one token. Such a step needs no plan from the host: the device compares
the observations with the tokens it has seen, computes each slot's last token, and says of which slots the rest was
known already. So nothing is read back before the results, which come in one transfer. The slots that did something else
(a reset, several new tokens) are then planned on the host and computed again, as
:class:`~lm_envs.inference.slot_cache.SlotCache` always does. A wrong guess costs time and never a wrong number.

On a GPU such a step is recorded as a CUDA graph: launching the kernels of a small model one by one takes several times
as long as running them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch as th

from lm_envs.inference.cached_model import CachedLanguageModel
from lm_envs.inference.recorded_step import RecordedStep
from lm_envs.inference.seen_tokens import SeenTokens
from lm_envs.inference.slot_cache import SlotCache
from lm_envs.inference.transfers import HostCopy, to_device
from lm_envs.inference.waiting import waiting_operations

Inputs = Mapping[str, th.Tensor]
Head = Callable[[Sequence[th.Tensor], Inputs], th.Tensor]
SPAN_UNIT = 64  # spans of attention are multiples of this; fused kernels want masks of aligned width
SPANS_PER_DOUBLING = 8  # long spans are rounded up more coarsely
MOST_RECORDINGS = 32


class WaitsForDevice(Exception):
    """A step cannot be static, because of the operations it names."""


class StaticDecoding:
    """Decode steps of several models over the same observations, with a slot for each row.

    Args:
        models: The models; each has a cache of its own.
        n_slots: Number of rows.
        capacity: Length of an observation in tokens.
        device: Where everything is.
        record: Whether to record steps as CUDA graphs; else they run as they are.

    Attributes:
        caches: The models' caches.
        steps: How many steps were run without a plan, by span.
    """

    def __init__(
        self, models: Sequence[CachedLanguageModel], n_slots: int, capacity: int, device: th.device, record: bool
    ) -> None:
        self.models = models
        self.caches = [SlotCache(n_slots, capacity, device) for _ in models]
        self.steps: dict[int, int] = {}
        self._seen = SeenTokens(n_slots, capacity, device)
        self._ahead = np.zeros(n_slots, dtype=np.int64)  # tokens in each slot that the caches' plans do not know
        self._bring = HostCopy()
        self._checked: set[Hashable] = set()
        self._recordings: OrderedDict[Hashable, RecordedStep] = OrderedDict()
        self._pool = th.cuda.graph_pool_handle() if record else None

    def clear(self) -> None:
        """Forget all prefixes; to be called when weights have changed. Memory and recordings stay."""
        for cache in self.caches:
            cache.clear()
        self._ahead[:] = 0

    def forget_recordings(self) -> None:
        """Record anew: tensors that the steps use are no longer where they were."""
        self._recordings.clear()

    def results(self, inputs: Inputs, head: Head, settings: Hashable = ()) -> th.Tensor:
        """What ``head`` makes of the hidden states after each row's last token, on the host.

        Args:
            inputs: ``input_ids`` and ``attention_mask``, each ``(n_slots, capacity)`` and right-padded, and whatever
                else ``head`` reads, ``(n_slots, ...)``.
            head: Takes the models' hidden states ``(n, hidden_size)`` and the inputs of these rows; returns
                ``(n_results, n)`` int32. A row's results depend on its own inputs only.
            settings: What else decides what ``head`` does; steps with other settings are recorded apart.

        Returns:
            ``(n_results, n_slots)`` int32.

        Raises:
            WaitsForDevice: An operation of a model or of ``head`` rules static steps out.
        """
        try:
            return self._results(inputs, head, settings)
        except BaseException:  # interrupted: what the device has seen and what was computed may differ
            self.clear()
            raise

    def _results(self, inputs: Inputs, head: Head, settings: Hashable) -> th.Tensor:
        known = self.caches[0].lengths + self._ahead
        if not known.any():
            self._seen.follow(inputs["input_ids"], inputs["attention_mask"], self._seen.capacity)
            return self._planned(inputs, head, None)
        span = rounded_span(int(known.max()) + 1, self._seen.capacity)
        *results, right = self._bring(self._run(inputs, head, span, settings)).split(1)
        return self._corrected(th.cat(results), right.numpy()[0], inputs, head, span)

    def _corrected(
        self, results: th.Tensor, right: npt.NDArray[np.int32], inputs: Inputs, head: Head, span: int
    ) -> th.Tensor:
        """The results, computed again where the step was none of one token."""
        self.steps[span] = self.steps.get(span, 0) + 1
        self._ahead += right
        for cache in self.caches:
            cache.computed_tokens += int(right.sum())
        wrong = np.flatnonzero(right == 0)
        if len(wrong) == len(right):
            return self._planned(inputs, head, None)
        if len(wrong):
            index = to_device(wrong, self._seen.ids.device)
            some = {name: value[index] for name, value in inputs.items()}
            results[:, wrong] = self._planned(some, head, wrong)
        return results

    def _planned(self, inputs: Inputs, head: Head, rows: npt.NDArray[np.int64] | None) -> th.Tensor:
        """The results of some rows, or of all, by plans on the host."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        hidden = [model.last_hidden(cache, ids, mask, rows) for model, cache in self._readers()]
        self._ahead[np.s_[:] if rows is None else rows] = 0
        return head(hidden, inputs).cpu()

    def _run(self, inputs: Inputs, head: Head, span: int, settings: Hashable) -> th.Tensor:
        def step(inputs: Inputs) -> th.Tensor:
            return self._step(inputs, head, span)

        kind = (settings, *((name, value.shape, value.dtype) for name, value in inputs.items()))
        if kind not in self._checked:
            self._check(lambda: step(inputs))
            self._checked.add(kind)
        if self._pool is None:
            return step(inputs)
        key = (span, kind)
        if key not in self._recordings:
            with self._seen.kept():
                self._recordings[key] = RecordedStep(step, inputs, self._pool)
            while len(self._recordings) > MOST_RECORDINGS:
                self._recordings.popitem(last=False)
        return self._recordings[key](inputs)

    def _step(self, inputs: Inputs, head: Head, span: int) -> th.Tensor:
        """The results ``(n_results, n_slots)``, and below them whether each row appended one token."""
        tokens, positions, right = self._seen.follow(inputs["input_ids"], inputs["attention_mask"], span)
        hidden = [model.run_pass(cache.static_pass(tokens, positions, span)) for model, cache in self._readers()]
        return th.cat([head(hidden, inputs), right.int()[None]])

    def _check(self, step: Callable[[], th.Tensor]) -> None:
        with self._seen.kept():
            waiting = waiting_operations(step)
        if waiting:
            raise WaitsForDevice(", ".join(waiting))

    def _readers(self) -> list[tuple[CachedLanguageModel, SlotCache]]:
        return list(zip(self.models, self.caches, strict=True))


def rounded_span(n_tokens: int, capacity: int) -> int:
    """The span, at least ``n_tokens`` unless ``capacity`` is less, of which there are few: a recording for each.

    Multiples of 64 up to 512, above that eight for each doubling, so that at most an eighth is read in vain.
    """
    doubled = 1 << (max(n_tokens, 1) - 1).bit_length()
    unit = max(SPAN_UNIT, doubled // SPANS_PER_DOUBLING)
    return min(-(-n_tokens // unit) * unit, capacity)
