"""Token-level episodes that run side by side: what every environment of this package has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from lm_envs.errors import ConfigurationError, InvalidActionError
from lm_envs.legal_actions import LegalActions
from lm_envs.payments import FloatArray
from lm_envs.rendering import EpisodeView
from lm_envs.token_state import IntArray, Observation, TokenState
from lm_envs.vocabulary import Vocabulary


class StepOutcome(NamedTuple):
    """What a step brought.

    Attributes:
        rewards: ``(num_rows,)`` float64.
        ended: The rows whose episode ended, ascending, ``(k,)``.
        infos: Their infos, ``k`` of them.
        running_infos: Infos of rows whose episode goes on, by row; most rows have none.
    """

    rewards: FloatArray
    ended: npt.NDArray[np.intp]
    infos: list[dict[str, Any]]
    running_infos: Mapping[int, dict[str, Any]]


class Episodes(ABC):
    """Episodes in ``num_rows`` rows: the core under a single and a vector environment.

    Which episode a row starts with is the caller's choice, as are its random numbers.

    Attributes:
        vocabulary: The tokens.
        state: The tokens of all rows.
        legal_actions: Which actions are legal.
        split: Name of the split that episodes are from.
        start_index: What each row's episode started with, a number below :attr:`n_starts`, ``(num_rows,)`` int64.
    """

    def __init__(self, vocabulary: Vocabulary, state: TokenState, legal_actions: LegalActions, split: str) -> None:
        """No row has an episode yet."""
        self.vocabulary = vocabulary
        self.state = state
        self.legal_actions = legal_actions
        self.split = split
        self.start_index = np.zeros(len(state.lengths), dtype=np.int64)
        self._running = False

    @property
    @abstractmethod
    def n_starts(self) -> int:
        """Number of prompts, or of what else an episode can start with, in the split."""

    @abstractmethod
    def view(self, row: int, info: Mapping[str, Any] | None = None) -> EpisodeView:
        """What there is to see of a row's episode; ``info`` is the one of its end, None while it runs."""

    @abstractmethod
    def _start(
        self, rows: IntArray, indices: IntArray, generators: Sequence[np.random.Generator]
    ) -> list[dict[str, Any]]:
        """Begin episodes; see :meth:`start`."""

    @abstractmethod
    def _step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Perform the actions; see :meth:`step`."""

    @property
    def observation_space(self) -> spaces.Dict:
        """The observation space of one row."""
        shape = (self.state.input_ids.shape[1],)
        boxes: dict[str, spaces.Space[Any]] = {
            "input_ids": spaces.Box(0, self.vocabulary.size - 1, shape, np.int32),
            "attention_mask": spaces.Box(0, 1, shape, np.int8),
        }
        if self.legal_actions.restricts:
            boxes["action_mask"] = spaces.Box(0, 1, (self.legal_actions.n_actions,), np.int8)
        return spaces.Dict(boxes)

    @property
    def action_space(self) -> spaces.Discrete:
        """The action space of one row."""
        return spaces.Discrete(self.legal_actions.n_actions)

    @property
    def num_rows(self) -> int:
        """Number of episodes side by side."""
        return len(self.start_index)

    @property
    def started(self) -> bool:
        """Whether there has been an episode."""
        return bool(self.state.lengths[0])

    def observation(self) -> Observation:
        """What all rows see: fresh copies of the arrays, each with a leading axis of ``num_rows``."""
        observation = self.state.observation()
        if self.legal_actions.restricts:
            observation["action_mask"] = self.action_masks().view(np.int8)
        return observation

    def row_observation(self, row: int) -> Observation:
        """What one row sees: fresh copies of its arrays."""
        observation = self.state.row_observation(row)
        if self.legal_actions.restricts:
            observation["action_mask"] = self.action_mask(row).view(np.int8)
        return observation

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Which actions are legal in each row, a new array ``(num_rows, n_actions)`` bool."""
        return self.legal_actions.mask(self.state, np.arange(self.num_rows))

    def action_mask(self, row: int) -> npt.NDArray[np.bool_]:
        """Which actions are legal in one row, a new array ``(n_actions,)`` bool."""
        return self.legal_actions.mask(self.state, np.array([row]))[0]

    def checked_indices(self, values: Any, option: str) -> npt.NDArray[np.int64]:
        """Numbers of prompts as an array.

        Raises:
            ConfigurationError: They are no integers, or there is no such prompt.
        """
        indices = np.asarray(values)
        if indices.dtype.kind not in "iu" or ((indices < 0) | (indices >= self.n_starts)).any():
            raise ConfigurationError(
                f"the reset option {option!r} must hold prompt numbers from 0 to {self.n_starts - 1} "
                f"(the split {self.split!r} has {self.n_starts} prompts), got {values!r}"
            )
        return indices.astype(np.int64)

    def checked_actions(self, actions: Any, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Actions as ``(num_rows,)`` int64.

        Args:
            actions: What the caller of ``step`` passed.
            shape: The shape that it must have.

        Raises:
            InvalidActionError: Another shape, no integers, or an action that is not in the action space.
        """
        array = np.asarray(actions)
        n_actions, what = int(self.action_space.n), self._action_noun
        if array.dtype.kind not in "iu":
            raise InvalidActionError(
                f"an action is a {what}, an integer from 0 to {n_actions - 1}, got "
                f"{array.dtype} {actions!r:.80}. For logits or probabilities, sample or take the argmax first"
            )
        if array.shape != shape:
            expected = f"one {what} for each of the {shape[0]} environments" if shape else f"one {what}"
            raise InvalidActionError(f"expected {expected}, of shape {shape}, got shape {array.shape}: {actions!r:.80}")
        array = array.reshape(self.num_rows)
        if array.min() < 0 or array.max() >= n_actions:
            row = int(np.flatnonzero((array < 0) | (array >= n_actions))[0])
            place = f" of environment {row}" if shape else ""
            raise InvalidActionError(f"the action {array[row]}{place} {self._out_of_range}")
        return array.astype(np.int64, copy=False)

    @property
    def _action_noun(self) -> str:
        return "token id"

    @property
    def _out_of_range(self) -> str:
        return (
            f"is outside the vocabulary of model {self.vocabulary.model!r}, token ids 0 to "
            f"{self.vocabulary.size - 1}: does the policy use another model?"
        )

    def check_running(self) -> None:
        """Raise ResetNeeded unless episodes are running."""
        if not self._running:
            raise ResetNeeded("step() needs a running episode: call reset() first, and again after an episode's end")

    def start(
        self, rows: IntArray, indices: IntArray, generators: Sequence[np.random.Generator]
    ) -> list[dict[str, Any]]:
        """Begin new episodes.

        Args:
            rows: In which rows, ``(k,)``.
            indices: What they start with, ``(k,)``.
            generators: The random numbers of each, ``k`` of them, for the whole episode.

        Returns:
            Their infos, ``k`` of them.
        """
        self._running = False
        infos = self._start(rows, indices, generators)
        self.start_index[rows] = indices
        self._running = bool(self.state.lengths.all())  # a reset of some rows may leave others that never began
        return infos

    def stop(self) -> None:
        """Let no further step happen until :meth:`start`."""
        self._running = False

    def step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Perform an action in every row, pay rewards, and describe the episodes that ended.

        Args:
            actions: ``(num_rows,)``, checked by :meth:`checked_actions`.

        Raises:
            RewardError: A reward failed. The episodes are lost then: the next call must be a reset.
        """
        self._running = False
        outcome = self._step(actions)
        self._running = True
        return outcome

    def _check_length(self, described: str, n_tokens: int) -> None:
        """Raise a ConfigurationError if the model has fewer than ``n_tokens`` positions."""
        limit = self.vocabulary.max_positions
        if limit is not None and n_tokens > limit:
            raise ConfigurationError(
                f"{described} is more than the {limit} positions of model {self.vocabulary.model!r}: lower it, "
                "or choose a model with a longer context"
            )
