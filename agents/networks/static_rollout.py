"""Rollout steps of a policy with static shapes: from observations to actions, values and log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch as th
from torch import nn

from agents.networks.acting_caches import check_tokens
from agents.networks.language_model import LanguageModel
from agents.warn_once import warn_once
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.inference.static_decoding import StaticDecoding, WaitsForDevice

DECODES = ("auto", "eager", "static", "graph")
UNIFORM = "uniform numbers"  # beside an observation's keys

Inputs = Mapping[str, th.Tensor]
Head = Callable[[Sequence[th.Tensor], Inputs, bool], tuple[th.Tensor, th.Tensor, th.Tensor]]


class StaticRollout:
    """The slots of a policy's rollout, for steps of static shape; see :class:`StaticDecoding`.

    Args:
        policy: What the steps compute with: where its tensors lie is what recordings depend on.
        models: The language models that read observations.
        head: Takes the models' hidden states, the observations' columns with the uniform numbers ``(n, 1)`` under
            :data:`UNIFORM`, and whether to choose the best action; returns actions ``(n,)`` int64, values ``(n,)`` and
            log-probabilities ``(n,)`` float32.
        decode: ``"auto"``: record steps on a GPU, and do nothing elsewhere; ``"eager"``: do nothing; ``"static"``:
            static shapes without recording; ``"graph"``: record.

    Attributes:
        decoding: What runs the steps; None before the first one.
    """

    def __init__(self, policy: nn.Module, models: Sequence[LanguageModel], head: Head, decode: str) -> None:
        self.decoding: StaticDecoding | None = None
        self._policy = (policy,)
        self._models = models
        self._head = head
        self._decode = decode
        self._shape: tuple[Any, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._places: tuple[int, ...] = ()
        self._moved = True

    def wanted(self, obs: Inputs) -> bool:
        """Whether these observations take static steps.

        Raises:
            ConfigurationError: Recordings were asked for, and the observations are on no GPU.
        """
        if self._decode == "eager" or any(model.adapter_is_off for model in self._models):
            return False
        is_cuda = obs["input_ids"].device.type == "cuda"
        if self._decode == "graph" and not is_cuda:
            raise ConfigurationError(
                "decode='graph' records CUDA graphs; here observations are on the device "
                f"{str(obs['input_ids'].device)!r}. Build the algorithm with device='cuda', or use decode='auto', "
                "which records where it can, or decode='static' for the same shapes without recording."
            )
        return is_cuda or self._decode == "static"

    def holds(self, obs: Inputs) -> bool:
        """Whether a rollout of so many rows is under way here."""
        return self.decoding is not None and self._shape == _shape(obs)

    def weights_may_have_moved(self) -> None:
        """Look before the next step whether tensors are still where recordings look for them."""
        self._moved = True

    def __call__(
        self, obs: Inputs, deterministic: bool, settings: float, draws: bool = True
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor] | None:
        """Actions ``(n,)`` int64, values ``(n,)`` and log-probabilities ``(n,)`` float32, all on the host.

        Args:
            obs: Observations of all rows.
            deterministic: Whether to choose the best action.
            settings: A number that the head depends on, such as the temperature.
            draws: Whether to take uniform numbers from torch's generator; without, actions mean nothing.

        Returns:
            The three, or None: with ``decode="auto"`` the model turned out to allow no static steps.

        Raises:
            ConfigurationError: Static steps were asked for, and the model allows none.
        """
        check_tokens(obs, self._models[0].vocab_size)
        decoding = self._prepared(obs)
        shape, device = (len(obs["input_ids"]), 1), obs["input_ids"].device
        draws = draws and not deterministic
        uniform = th.rand(shape, device=device) if draws else th.zeros(shape, device=device)

        def head(hidden: Sequence[th.Tensor], inputs: Inputs) -> th.Tensor:
            return _as_bits(*self._head(hidden, inputs, deterministic))

        try:
            bits = decoding.results({**obs, UNIFORM: uniform}, head, (deterministic, settings))
        except WaitsForDevice as reason:
            self._give_up(str(reason))
            return None
        return bits[0].long(), bits[1].view(th.float32), bits[2].view(th.float32)

    def _prepared(self, obs: Inputs) -> StaticDecoding:
        """The decoding for these observations, emptied if weights have changed."""
        shape, versions = _shape(obs), tuple(model.version() for model in self._models)
        if self.decoding is None or self._shape != shape:
            n_rows, n_tokens, device = shape
            record = device.type == "cuda" and self._decode != "static"
            self.decoding = StaticDecoding(self._models, n_rows, n_tokens, device, record)
            self._shape = shape
        elif self._versions != versions:
            self.decoding.clear()
        self._moved = self._moved or self._versions != versions
        self._versions = versions
        if self._moved:
            self._look_where_tensors_are(self.decoding)
        return self.decoding

    def _look_where_tensors_are(self, decoding: StaticDecoding) -> None:
        places = tuple(tensor.data_ptr() for tensor in _tensors(self._policy[0]))
        if self._places != places:
            decoding.forget_recordings()
            decoding.clear()
        self._places = places
        self._moved = False

    def _give_up(self, operations: str) -> None:
        name = type(self._models[0].lm).__name__
        if self._decode != "auto":
            raise ConfigurationError(
                f"decode={self._decode!r} needs a model whose steps never wait for the device; {name} does, or has "
                f"shapes that depend on numbers, in: {operations}. Use decode='auto' or 'eager'."
            )
        warn_once(f"{name} cannot be run as a CUDA graph because of {operations}: rollouts launch kernels one by one.")
        self._decode = "eager"
        self.decoding = None


def check_decode(decode: str) -> None:
    """Check how a policy is to run its decode steps.

    Raises:
        UnknownNameError: It is none of the ways.
    """
    if decode not in DECODES:
        raise UnknownNameError.for_name("decode", decode, DECODES)


def _shape(obs: Inputs) -> tuple[Any, ...]:
    return (*obs["input_ids"].shape, obs["input_ids"].device)


def _tensors(module: nn.Module) -> list[th.Tensor]:
    """All parameters and buffers, frozen ones too."""
    parts = [(*part._parameters.values(), *part._buffers.values()) for part in module.modules()]
    return [tensor for part in parts for tensor in part if tensor is not None]


def _as_bits(actions: th.Tensor, values: th.Tensor, log_probs: th.Tensor) -> th.Tensor:
    """All three as int32 ``(3, n)``, floats by their bits, so that one transfer brings them to the host."""
    return th.stack([actions.int(), values.float().view(th.int32), log_probs.float().view(th.int32)])
