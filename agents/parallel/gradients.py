"""Gradients averaged over the processes before anybody reads them."""

from __future__ import annotations

from collections.abc import Iterable

import torch as th

from agents.parallel.ranks import Ranks


class GradientAverage:
    """Replaces the gradients of a backward pass by their weighted mean over all processes.

    A hook on each parameter notices that a backward pass writes gradients, and asks autograd to be called at its end;
    there all gradients are summed over the processes in one message. So ``loss.backward()`` returns with the mean, and
    what follows, clipping included, is the same computation on every process. A parameter that got a gradient in no
    process keeps none, as in a single process; one that got one in some counts as 0 in the others.

    Args:
        parameters: Those that are trained; frozen ones are left out, tied ones taken once.
        ranks: The processes.

    Attributes:
        weight: How much this process's gradients count, for example the size of its part of a minibatch.
        has_more: Whether this process wants to go on after this backward pass.
        anybody_has_more: Whether one of them wanted to, as of the last backward pass.
    """

    def __init__(self, parameters: Iterable[th.nn.Parameter], ranks: Ranks) -> None:
        self.weight = 1.0
        self.has_more = self.anybody_has_more = False
        self._ranks = ranks
        distinct = {id(parameter): parameter for parameter in parameters if parameter.requires_grad}
        self._parameters = list(distinct.values())
        sizes = [parameter.numel() for parameter in self._parameters]
        # gradients one after the other, then for each parameter whether it has one, then weight and whether to go on
        self._message = th.zeros(sum(sizes) + len(sizes) + 2, device=self._parameters[0].device)
        self._gradients, self._flags = self._message.split([sum(sizes), len(sizes) + 2])
        parts = self._gradients.split(sizes)
        self._parts = [part.view(found.shape) for part, found in zip(parts, self._parameters, strict=True)]
        self._averaged_pass: int | None = None
        for parameter in self._parameters:
            parameter.register_post_accumulate_grad_hook(self._expect_end)

    def _expect_end(self, _: th.Tensor) -> None:
        """Called for every parameter; asks once per backward pass for a call at its end, as torch's FSDP does.

        A pass that fails forgets who asked for its end, so passes are told apart by their numbers.
        """
        this_pass = th._C._current_graph_task_id()
        if this_pass != self._averaged_pass:
            self._averaged_pass = this_pass
            th.autograd.Variable._execution_engine.queue_callback(self._average)

    @th.no_grad()
    def _average(self) -> None:
        for parameter, part in zip(self._parameters, self._parts, strict=True):
            if parameter.grad is None or self.weight == 0:
                part.zero_()
            else:
                th.mul(parameter.grad, self.weight, out=part)
        present = [float(parameter.grad is not None) for parameter in self._parameters]
        self._flags.copy_(th.tensor([*present, self.weight, float(self.has_more)]))
        self._ranks.sum_in_place(self._message)
        *counts, total, more = self._flags.tolist()
        self.anybody_has_more = more > 0
        self._gradients.div_(total)
        for parameter, part, count in zip(self._parameters, self._parts, counts, strict=True):
            if count:
                parameter.grad = part.to(parameter.dtype)
