"""The processes of one run, and what they tell each other."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch as th
import torch.distributed as dist

from lm_envs.errors import ConfigurationError, DistributedError

TORCHRUN_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Ranks:
    """The processes that learn one model together: this one's number, and sums over all.

    Every method that talks to the others has to be called by all of them, in the same order.

    Args:
        device: Where the model is: gradients on a CUDA device are summed by nccl, all else by gloo.
        timeout: Seconds that a process waits for the others before it gives up.

    Attributes:
        rank: This process, from 0.
        size: How many there are.
    """

    def __init__(self, device: th.device, timeout: float) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._limit = timedelta(seconds=timeout)
        self._plain = dist.new_group(backend="gloo", timeout=self._limit)
        on_gpu = device.type == "cuda"
        self._of_gradients = dist.new_group(backend="nccl", timeout=self._limit) if on_gpu else self._plain
        self._n_awaited = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that logs and saves."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """The sum of every process's ``value``, the same to the last bit everywhere."""
        total = th.tensor(value, dtype=th.float64)
        with self._answering():
            dist.all_reduce(total, group=self._plain)
        return total.item()

    def mean(self, value: float, weight: float) -> float:
        """The weighted mean of every process's ``value``; one of the weight 0 does not count, whatever its value."""
        parts = th.tensor([value * weight if weight else 0.0, weight], dtype=th.float64)
        with self._answering():
            dist.all_reduce(parts, group=self._plain)
        return float(parts[0] / parts[1])

    def sum_in_place(self, values: th.Tensor) -> None:
        """Replace ``values``, on the model's device, by the sum over all processes."""
        with self._answering():
            dist.all_reduce(values, group=self._of_gradients)

    def gather(self, value: Any) -> list[Any]:
        """What every process has to say, by rank; anything that can be pickled."""
        found: list[Any] = [None] * self.size
        with self._answering():
            dist.all_gather_object(found, value, group=self._plain)
        return found

    def from_first(self, value: Any) -> Any:
        """What rank 0 has to say; anything that can be pickled."""
        told = [value]
        with self._answering():
            dist.broadcast_object_list(told, src=0, group=self._plain)
        return told[0]

    def wait_for_first(self) -> None:
        """Wait until rank 0 has come here as often; rank 0 itself waits for nobody."""
        self._n_awaited += 1
        store = dist.distributed_c10d._get_default_store()
        key = f"lm_envs rank 0 was here {self._n_awaited}"
        if self.is_first:
            store.set(key, "yes")
            return
        with self._answering():
            store.wait([key], self._limit)

    def check_same(self, settings: dict[str, Any]) -> None:
        """Refuse settings in which processes would do different numbers of steps, and wait for each other for ever.

        Raises:
            ConfigurationError: On every process, where one has another value than rank 0.
        """
        first, *others = self.gather(settings)
        for rank, other in enumerate(others, start=1):
            for name in sorted(first.keys() | other.keys()):
                ours, theirs = first.get(name), other.get(name)
                if ours != theirs:
                    raise ConfigurationError(
                        f"all ranks need the same settings: {name} is {ours!r} on rank 0 and {theirs!r} on rank "
                        f"{rank}. Build the model from the same arguments in every process."
                    )

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in plain words what it means when the others do not answer."""
        try:
            yield
        except RuntimeError as error:  # all that torch.distributed raises, DistError included
            raise DistributedError(
                f"rank {self.rank} of {self.size} got no answer from the other ranks within "
                f"{self._limit.total_seconds():g} s, or one of them has ended: see its own message. Where a callback "
                f"on rank 0 takes longer than that, pass data_parallel(model, timeout=...). ({error})"
            ) from error


def start_process_group(device: th.device, timeout: float) -> int:
    """Join the process group that torchrun's environment variables describe, unless that has been done.

    A run of one process needs no group, and none is made.

    Returns:
        The number of processes.

    Raises:
        ConfigurationError: The process was not started by torchrun, or the group cannot be joined.
    """
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    missing = [name for name in TORCHRUN_VARIABLES if name not in os.environ]
    if missing:
        raise ConfigurationError(
            "data_parallel() needs to know the other processes: expected the environment variables that torchrun "
            f"sets, and {', '.join(missing)} is not set. Start the script with: torchrun --nproc-per-node=2 script.py"
        )
    size = int(os.environ["WORLD_SIZE"])
    if size > 1:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
        atexit.register(_leave_process_group)  # gloo's threads abort a process that ends with them running
    return size


def _leave_process_group() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def mean_over_ranks(model: Any, value: float) -> float:
    """The mean of ``value`` over the processes that learn ``model`` together; ``value`` where there is one process.

    For callbacks that measure something on a rollout and change the training by it.
    """
    parallel = getattr(model, "_parallel", None)
    return value if parallel is None else parallel.ranks.sum(value) / parallel.ranks.size
