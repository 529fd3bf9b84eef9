"""Cells as tasks of Ray: on this machine, or on a cluster that is there."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engines.local import THREAD_VARIABLES, available_cores
from benchmarks.engines.protocol import RETRIES, OnDone, OnFailure
from benchmarks.suite.cases import Cell
from benchmarks.suite.running import run_cell
from lm_envs.errors import ConfigurationError, MissingDependencyError

logger = logging.getLogger(__name__)

BENCHMARKS = Path(__file__).parent.parent
OBJECT_STORE_BYTES = 80 * 2**20  # the least that Ray takes: cells and their results are a few kilobytes
CONNECT_SECONDS = 10.0


class RayEngine:
    """One task of `Ray <https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html>`_ for each cell.

    On a cluster ``lm_envs`` and ``agents`` have to be installed; the package ``benchmarks``, without its results, is
    sent there. What runs already, a cluster or a Ray that this process has initialised, stays up afterwards.

    Args:
        address: Of a cluster, ``"auto"`` or ``"ray://host:10001"``; None starts a Ray of this machine's own.
        threads: Processors that Ray sets aside for a cell, and threads that its libraries may use.
        gpus: GPUs that Ray sets aside for a cell; 0.5 lets two cells share one.
        jobs: Most cells at a time; None: as many as there is room for.
        retries: How often a cell is begun again whose worker died.
        work: What is done with a cell.

    Raises:
        ConfigurationError: If a number makes no sense.
    """

    def __init__(
        self,
        address: str | None = None,
        threads: int = 1,
        gpus: float = 0.0,
        jobs: int | None = None,
        retries: int = RETRIES,
        work: Callable[[Cell], dict[str, Any]] = run_cell,
    ) -> None:
        self.address, self.threads, self.gpus, self.jobs, self.retries = address, threads, gpus, jobs, retries
        self._work = work
        for name, least in (("threads", 1), ("gpus", 0), ("jobs", 1), ("retries", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigurationError(f"{name} must be at least {least}, got {value}.")

    def run(self, cells: Sequence[Cell], on_done: OnDone, on_failure: OnFailure) -> None:
        """Run every cell; see :class:`benchmarks.engines.protocol.Engine`.

        Args:
            cells: What to run, begun in this order.
            on_done: Called in this process with a cell and its result as results come.
            on_failure: Called with a cell that raised or whose workers died, and with what happened.

        Raises:
            MissingDependencyError: Ray is not installed.
            ConfigurationError: No cluster answers at the address, a cell needs a GPU and none is asked for, or this
                machine alone has not what a cell asks for.
        """
        ray = _import_ray()
        self._check(cells)
        with self._connected(ray), _cancelled_at_the_end(ray) as running:
            self._check_room(ray.nodes())
            for cell, outcome in self._outcomes(ray, cells, running):
                try:
                    result = ray.get(outcome)
                except ray.exceptions.RayTaskError as error:
                    on_failure(cell, str(error))  # its text is the traceback in the worker
                except ray.exceptions.RayError as error:
                    on_failure(cell, f"its worker died, at the first try and {self.retries} more: {error}")
                else:
                    on_done(cell, result)

    def _check(self, cells: Sequence[Cell]) -> None:
        on_gpu = [cell for cell in cells if cell.measuring.device.startswith("cuda")]
        if on_gpu and not self.gpus:
            raise ConfigurationError(
                f"{on_gpu[0].name} runs on {on_gpu[0].measuring.device!r}, and Ray hides GPUs that no task asks for: "
                "pass --gpus 1, or a fraction where several cells share one."
            )

    def _check_room(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Say that no machine has what a cell asks for: it would wait for ever."""
        there = [node["Resources"] for node in nodes if node["Alive"]]
        if any(each.get("CPU", 0) >= self.threads and each.get("GPU", 0) >= self.gpus for each in there):
            return
        found = "; ".join(f"{each.get('CPU', 0):g} cores and {each.get('GPU', 0):g} GPUs" for each in there)
        message = f"a cell asks for {self.threads} cores and {self.gpus:g} GPUs, and Ray has {found or 'no machine'}"
        if self.address is None:
            raise ConfigurationError(f"{message}. Run it where there are as many, or ask for fewer: --gpus.")
        logger.warning("%s: cells wait until one is added to the cluster.", message)

    def _outcomes(self, ray: Any, cells: Sequence[Cell], running: dict[Any, Cell]) -> Iterator[tuple[Cell, Any]]:
        """Each cell with the reference to its result, in the order in which they end."""
        task = ray.remote(self._work).options(
            num_cpus=self.threads, num_gpus=self.gpus, max_retries=self.retries, name="cell"
        )
        waiting = iter(cells)
        running.update((task.remote(cell), cell) for cell in itertools.islice(waiting, self.jobs))
        while running:
            (ended,), _ = ray.wait(list(running))
            cell = running.pop(ended)
            running.update((task.remote(following), following) for following in itertools.islice(waiting, 1))
            yield cell, ended

    @contextlib.contextmanager
    def _connected(self, ray: Any) -> Iterator[None]:
        """Use the Ray that this process has initialised, or connect, and leave again."""
        if ray.is_initialized():
            yield
            return
        try:
            self._connect(ray)
            yield
        finally:
            ray.shutdown()

    def _connect(self, ray: Any) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_task_oom_retries", str(self.retries))  # Ray's own number is "for ever"
        quiet = {"logging_level": "error", "log_to_driver": False, "runtime_env": self._runtime_env()}
        if self.address is None:
            ray.init(address="local", **self._own_size(), **quiet)
            return
        try:
            _try_to_reach(self.address)
            ray.init(address=self.address, **quiet)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"no Ray cluster answers at {self.address!r}: {error}. Is it running (ray start --head), and is this "
                "its address? Leave --address out for a Ray on this machine alone."
            ) from error

    def _own_size(self) -> dict[str, Any]:
        """What a Ray of this machine's own has; GPUs are counted by Ray."""
        jobs = self.jobs or max(1, available_cores() // self.threads)
        return {
            "num_cpus": jobs * self.threads,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }

    def _runtime_env(self) -> dict[str, Any]:
        """How a worker finds the package ``benchmarks``, and how many threads its libraries use."""
        variables = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        if self.address is None:  # the folder itself, so that a cell's result names the commit
            paths = [str(BENCHMARKS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
            return {"env_vars": {**variables, "PYTHONPATH": os.pathsep.join(paths)}}
        return {"env_vars": variables, "py_modules": [str(BENCHMARKS)], "excludes": ["/results", "__pycache__"]}


def _try_to_reach(address: str) -> None:
    """Open a connection to ``host:port`` or ``ray://host:port``, as Ray itself would wait for minutes.

    Raises:
        OSError: Nobody listens there.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError.for_package("ray", "ray", "--engine ray") from error
    return ray


@contextlib.contextmanager
def _cancelled_at_the_end(ray: Any) -> Iterator[dict[Any, Cell]]:
    """Yield a dict from references to cells; tasks still in it at the end, as after ctrl-C, are cancelled."""
    running: dict[Any, Cell] = {}
    try:
        yield running
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
