"""Text generation episodes that run side by side: the core under the single and the vector environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from lm_envs.errors import ConfigurationError, DataError, InvalidActionError
from lm_envs.legal_actions import legal_actions
from lm_envs.payments import Completions, FloatArray, Payment, RewardPayments
from lm_envs.prompt_table import PromptTable, prompt_table
from lm_envs.rendering import EpisodeView
from lm_envs.stopping import STOP_REASONS, StopRule
from lm_envs.text_gen_config import TextGenConfig
from lm_envs.token_state import IntArray, Observation, TokenState
from lm_envs.vocabulary import load_vocabulary


class StepOutcome(NamedTuple):
    """What a step brought.

    Attributes:
        rewards: ``(num_rows,)`` float64.
        ended: The rows whose episode ended, ascending, ``(k,)``.
        infos: Their infos, ``k`` of them.
    """

    rewards: FloatArray
    ended: npt.NDArray[np.intp]
    infos: list[dict[str, Any]]


class TextEpisodes:
    """Token states, end of episodes, rewards and infos of ``num_rows`` episodes.

    Which prompt a row starts with is the caller's choice, as are its random numbers. Each reward is called
    once a step, for all rows that it is paid for.
    """

    def __init__(self, config: TextGenConfig, num_rows: int) -> None:
        """Load tokenizer, prompts and reward; fails on everything that could fail later.

        Args:
            config: The environment's arguments.
            num_rows: Number of episodes side by side.

        Raises:
            ConfigurationError: The observation is longer than what the model was built for.
            DataError: The data is malformed, or a prompt is too long and ``on_long_prompt="raise"``.
            ModelError: The model cannot be loaded.
            UnknownNameError: No such task, split, reward, model or column.
        """
        self.config = config
        self.task = config.load_task()
        self.rewards = config.load_reward(self.task)
        self.dataset = config.load_dataset(self.task)
        self.rewards.check_columns(self.dataset.columns)
        self.payments = RewardPayments(self.rewards, num_rows, config.shaping)
        self.vocabulary = load_vocabulary(config.model, config.trust_remote_code)
        self._check_length()
        self.stop_rule = StopRule(
            self.vocabulary, tuple(config.stop or ()), config.max_new_tokens, config.min_new_tokens
        )
        self.legal_actions = legal_actions(self.vocabulary, config.min_new_tokens)
        self.state = TokenState(num_rows, config.max_prompt_tokens, config.max_new_tokens, self.vocabulary.pad_id)
        self.prompt_index = np.zeros(num_rows, dtype=np.int64)
        self._table: PromptTable | None = None
        self._running = False
        if config.on_long_prompt == "raise":
            self._check_prompts()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the prompt table out: the process that unpickles has, or makes, its own."""
        return {**self.__dict__, "_table": None}

    @property
    def observation_space(self) -> spaces.Dict:
        """The observation space of one row."""
        shape = (self.config.max_tokens,)
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
        return spaces.Discrete(self.vocabulary.size)

    @property
    def num_rows(self) -> int:
        """Number of episodes side by side."""
        return len(self.prompt_index)

    @property
    def started(self) -> bool:
        """Whether there has been an episode."""
        return bool(self.state.lengths[0])

    @property
    def table(self) -> PromptTable:
        """The prompts as tokens; the first use tokenizes them."""
        if self._table is None:
            self._table = prompt_table(self.dataset.prompts, self.vocabulary)
        return self._table

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
        """Indices of prompts as an array.

        Raises:
            ConfigurationError: They are no integers, or there is no such prompt.
        """
        indices = np.asarray(values)
        n_prompts = len(self.dataset)
        if indices.dtype.kind not in "iu" or ((indices < 0) | (indices >= n_prompts)).any():
            raise ConfigurationError(
                f"the reset option {option!r} must hold prompt numbers from 0 to {n_prompts - 1} "
                f"(the split {self.config.split!r} has {n_prompts} prompts), got {values!r}"
            )
        return indices.astype(np.int64)

    def checked_actions(self, actions: Any, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Actions as ``(num_rows,)`` int64.

        Args:
            actions: What the caller of ``step`` passed.
            shape: The shape that it must have.

        Raises:
            InvalidActionError: Another shape, no integers, or an id outside the vocabulary.
        """
        array = np.asarray(actions)
        if array.dtype.kind not in "iu":
            raise InvalidActionError(
                f"an action is a token id, an integer from 0 to {self.vocabulary.size - 1}, got "
                f"{array.dtype} {actions!r:.80}. For logits or probabilities, sample or take the argmax first"
            )
        if array.shape != shape:
            expected = f"one token id for each of the {shape[0]} environments" if shape else "one token id"
            raise InvalidActionError(f"expected {expected}, of shape {shape}, got shape {array.shape}: {actions!r:.80}")
        array = array.reshape(self.num_rows)
        if array.min() < 0 or array.max() >= self.vocabulary.size:
            row = int(np.flatnonzero((array < 0) | (array >= self.vocabulary.size))[0])
            place = f" of environment {row}" if shape else ""
            raise InvalidActionError(
                f"the action {array[row]}{place} is outside the vocabulary of model "
                f"{self.config.model!r}, token ids 0 to {self.vocabulary.size - 1}: "
                "does the policy use another model?"
            )
        return array.astype(np.int64, copy=False)

    def check_running(self) -> None:
        """Raise ResetNeeded unless episodes are running."""
        if not self._running:
            raise ResetNeeded("step() needs a running episode: call reset() first, and again after an episode's end")

    def start(self, rows: IntArray, indices: IntArray) -> None:
        """Begin new episodes in ``rows`` with the prompts ``indices``, both ``(k,)``."""
        self.state.start(rows, *self.table.padded(indices, self.config.max_prompt_tokens))
        self.prompt_index[rows] = indices
        self.payments.start(rows)
        self._running = True

    def stop(self) -> None:
        """Let no further step happen until :meth:`start`."""
        self._running = False

    def step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Append one token to every row, pay rewards, and describe the episodes that ended.

        Args:
            actions: ``(num_rows,)``, checked by :meth:`checked_actions`.

        Raises:
            RewardError: A reward failed. The episodes are lost then: the next call must be a reset.
        """
        self._running = False
        self.state.append(actions)
        reasons = self.stop_rule.reasons(self.state, actions)
        ended = np.flatnonzero(reasons)
        rewards = np.zeros(self.num_rows)
        infos: list[dict[str, Any]] = []
        if self.payments.every_step or ended.size:
            completions = self._completions(np.arange(self.num_rows) if self.payments.every_step else ended)
            payment = self.payments.pay(completions, ended)
            rewards = payment.rewards
            if ended.size:
                finished = completions.take(ended) if self.payments.every_step else completions
                infos = self._infos(ended, reasons, finished, payment)
        self._running = True
        return StepOutcome(rewards, ended, infos)

    def completions(self, rows: IntArray) -> list[str]:
        """The texts generated so far in ``rows``, without special tokens and cut before a stop string."""
        texts = self.vocabulary.decode([self.state.completion_ids(row).tolist() for row in rows])
        return [self.stop_rule.cut(text) for text in texts]

    def view(self, row: int) -> EpisodeView:
        """What there is to see of the episode that runs in a row."""
        return EpisodeView(
            prompt=self.dataset.prompts[self.prompt_index[row]],
            completion=self.completions(np.array([row]))[0],
            reward_terms=self.payments.so_far(row),
            n_new_tokens=int(self.state.new_lengths[row]),
        )

    def _infos(
        self, ended: IntArray, reasons: npt.NDArray[np.int8], finished: Completions, payment: Payment
    ) -> list[dict[str, Any]]:
        """The infos of the episodes that ended."""
        infos: list[dict[str, Any]] = [
            {
                "prompt": finished.prompts[k],
                "completion": finished.texts[k],
                "stop_reason": STOP_REASONS[reasons[row]],
                "n_new_tokens": int(self.state.new_lengths[row]),
                "prompt_index": int(self.prompt_index[row]),
                "reward_terms": {name: float(values[k]) for name, values in payment.terms.items()},
            }
            for k, row in enumerate(ended)
        ]
        if payment.token_rewards is not None:
            for info, token_rewards in zip(infos, payment.token_rewards, strict=True):
                info["token_rewards"] = [float(value) for value in token_rewards]
        if self.task is not None and self.task.is_success is not None:
            successes = self.task.is_success(finished.prompts, finished.texts, **finished.columns)
            for info, success in zip(infos, successes, strict=True):
                info["is_success"] = bool(success)
        return infos

    def _completions(self, rows: IntArray) -> Completions:
        """What rewards read about ``rows``."""
        return Completions(self._prompts(rows), self.completions(rows), self._columns(rows))

    def _prompts(self, rows: IntArray) -> list[str]:
        return [self.dataset.prompts[index] for index in self.prompt_index[rows]]

    def _columns(self, rows: IntArray) -> dict[str, Sequence[Any]]:
        """What rewards receive besides prompts and completions: the data set's columns, and the token ids."""
        indices = self.prompt_index[rows]
        columns: dict[str, Sequence[Any]] = {
            name: [values[index] for index in indices] for name, values in self.dataset.columns.items()
        }
        columns["prompt_ids"] = [self.state.prompt_ids(row).tolist() for row in rows]
        columns["completion_ids"] = [self.state.completion_ids(row).tolist() for row in rows]
        return columns

    def _check_length(self) -> None:
        limit = self.vocabulary.max_positions
        if limit is not None and self.config.max_tokens > limit:
            raise ConfigurationError(
                f"max_prompt_tokens + max_new_tokens = {self.config.max_prompt_tokens} + "
                f"{self.config.max_new_tokens} is more than the {limit} positions of model "
                f"{self.config.model!r}: lower one of them, or choose a model with a longer context"
            )

    def _check_prompts(self) -> None:
        lengths = self.table.lengths
        too_long = np.flatnonzero(lengths > self.config.max_prompt_tokens)
        if too_long.size:
            first = too_long[0]
            raise DataError(
                f"{too_long.size} of {len(lengths)} prompts are longer than max_prompt_tokens="
                f"{self.config.max_prompt_tokens}, the first is prompt {first} with {lengths[first]} tokens: "
                f"{self.dataset.prompts[first]!r:.80}. Set max_prompt_tokens={lengths.max()} or more, or "
                "on_long_prompt='truncate' to keep the ends of long prompts"
            )
