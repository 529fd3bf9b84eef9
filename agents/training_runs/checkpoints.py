"""Checkpoints: Stable-Baselines3's zip, with what else a run needs to go on inside of it."""

from __future__ import annotations

import base64
import io
import json
import logging
import random
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch as th

from agents.atomic_files import fresh_file
from lm_envs.errors import CheckpointError

logger = logging.getLogger(__name__)

KEEP = 2
"""Checkpoints that stay: the newest, and the one before it in case the newest is damaged."""

# Stable-Baselines3 ignores members that it does not know.
_STATE_MEMBER = "run_state.json"
_REPLAY_BUFFER_MEMBER = "replay_buffer.pkl"
_NAME = re.compile(r"step_(\d+)\.zip")

Model = TypeVar("Model")


def save_model(model: Any, path: Path, state: Mapping[str, Any] | None = None, replay_buffer: bool = False) -> None:
    """Save a Stable-Baselines3 model in one step; the algorithm's ``load`` reads it.

    Args:
        model: The algorithm.
        path: The zip.
        state: JSON values that travel in it.
        replay_buffer: Whether the replay buffer travels in it, too, if the algorithm has one.
    """
    with fresh_file(path) as temporary:
        with temporary.open("wb") as file:
            model.save(file)
        with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            if state is not None:
                archive.writestr(_STATE_MEMBER, json.dumps(state))
            if replay_buffer and getattr(model, "replay_buffer", None) is not None:
                pickled = io.BytesIO()
                model.save_replay_buffer(pickled)
                archive.writestr(_REPLAY_BUFFER_MEMBER, pickled.getbuffer())


def save_checkpoint(model: Any, folder: Path, state: Mapping[str, Any]) -> Path:
    """Save all that the run needs to go on as the newest checkpoint, and remove all but :data:`KEEP`.

    That is the model, its replay buffer, ``state`` and the random generators.
    """
    path = folder / f"step_{model.num_timesteps:012d}.zip"
    save_model(model, path, {**state, "random": random_states()}, replay_buffer=True)
    for old in checkpoints(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    found = [path for path in folder.glob("step_*.zip") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: path.name, reverse=True)


def read_state(path: Path) -> dict[str, Any]:
    """Check a zip's sums and read the state that travels in it; empty where there is none.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise CheckpointError(f"{str(path)!r} is damaged: the sum of its part {damaged!r} is wrong.")
            return json.loads(archive.read(_STATE_MEMBER)) if _STATE_MEMBER in archive.namelist() else {}
    except OSError as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error}") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"{str(path)!r} is damaged or no saved model: {error}") from error


def load_newest(folder: Path, load: Callable[[Path], Model]) -> tuple[Model, dict[str, Any]]:
    """Load the newest checkpoint that is whole.

    Args:
        folder: The run's ``checkpoints/``.
        load: Makes the model from a path.

    Returns:
        The model and the state that travelled with it.

    Raises:
        CheckpointError: There is no checkpoint, or all are damaged.
    """
    found = checkpoints(folder)
    for path in found:
        try:
            return _load(path, load)
        except CheckpointError as error:
            older = "trying the one before it" if path is not found[-1] else "and there is none before it"
            logger.warning("Checkpoint %s cannot be used, %s: %s", path.name, older, error)
    reason = f"all {len(found)} of its checkpoints are damaged" if found else "it has no checkpoint yet"
    raise CheckpointError(
        f"the run {str(folder.parent)!r} cannot be resumed: {reason}. Start it anew in another folder."
    )


def _load(path: Path, load: Callable[[Path], Model]) -> tuple[Model, dict[str, Any]]:
    state = read_state(path)
    try:
        return load(path), state
    except CheckpointError:
        raise
    except Exception as error:  # a whole zip with broken contents: unpickling raises anything
        raise CheckpointError(f"{type(error).__name__}: {error}") from error


def load_replay_buffer(model: Any, path: Path) -> None:
    """Give a model the replay buffer that is in a checkpoint, if there is one."""
    with zipfile.ZipFile(path) as archive:
        if _REPLAY_BUFFER_MEMBER in archive.namelist():
            model.load_replay_buffer(io.BytesIO(archive.read(_REPLAY_BUFFER_MEMBER)))


def random_states() -> dict[str, Any]:
    """The states of the global random generators of Python, NumPy and torch, as JSON values."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "python": [version, list(internal), gauss_next],
        "numpy": [kind, np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "torch": _text(th.get_rng_state()),
        "cuda": [_text(state) for state in th.cuda.get_rng_state_all()] if th.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Set the global random generators to what :func:`random_states` gave."""
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    th.set_rng_state(_tensor(states["torch"]))
    if th.cuda.is_available() and len(states["cuda"]) == th.cuda.device_count():
        th.cuda.set_rng_state_all([_tensor(state) for state in states["cuda"]])


def _text(state: th.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode("ascii")


def _tensor(text: str) -> th.Tensor:
    return th.frombuffer(bytearray(base64.b64decode(text)), dtype=th.uint8)
