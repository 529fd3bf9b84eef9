"""Text generation episodes that run side by side: a prompt, then tokens until the text ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_envs.episodes import Episodes, StepOutcome
from lm_envs.errors import DataError
from lm_envs.legal_actions import legal_actions
from lm_envs.payments import Completions, Payment, RewardPayments
from lm_envs.prompt_table import PromptTable, prompt_table
from lm_envs.rendering import EpisodeView, Piece
from lm_envs.stopping import STOP_REASONS, StopRule
from lm_envs.text_gen_config import TextGenConfig
from lm_envs.token_state import IntArray, TokenState
from lm_envs.vocabulary import load_vocabulary


class TextGenEpisodes(Episodes):
    """Token states, end of episodes, rewards and infos of ``num_rows`` texts.

    Each reward is called once a step, for all rows that it is paid for.
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
        vocabulary = load_vocabulary(config.model, config.trust_remote_code)
        state = TokenState(num_rows, config.max_tokens, vocabulary.pad_id)
        super().__init__(vocabulary, state, legal_actions(vocabulary, config.min_new_tokens), config.split)
        budgets = f"{config.max_prompt_tokens} + {config.max_new_tokens}"
        self._check_length(f"max_prompt_tokens + max_new_tokens = {budgets}", config.max_tokens)
        self.stop_rule = StopRule(vocabulary, tuple(config.stop or ()), config.max_new_tokens, config.min_new_tokens)
        self._table: PromptTable | None = None
        if config.on_long_prompt == "raise":
            self._check_prompts()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the prompt table out: the process that unpickles has, or makes, its own."""
        return {**self.__dict__, "_table": None}

    @property
    def n_starts(self) -> int:
        """Number of prompts in the split."""
        return len(self.dataset)

    @property
    def table(self) -> PromptTable:
        """The prompts as tokens; the first use tokenizes them."""
        if self._table is None:
            self._table = prompt_table(self.dataset.prompts, self.vocabulary)
        return self._table

    def _start(
        self, rows: IntArray, indices: IntArray, generators: Sequence[np.random.Generator]
    ) -> list[dict[str, Any]]:
        """Begin with the prompts ``indices``."""
        self.state.start(rows, *self.table.padded(indices, self.config.max_prompt_tokens))
        self.payments.start(rows)
        return [{} for _ in rows]

    def _step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Append one token to every row."""
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
        return StepOutcome(rewards, ended, infos, {})

    def completions(self, rows: IntArray) -> list[str]:
        """The texts generated so far in ``rows``, without special tokens and cut before a stop string."""
        texts = self.vocabulary.decode([self.state.completion_ids(row).tolist() for row in rows])
        return [self.stop_rule.cut(text) for text in texts]

    def view(self, row: int, info: Mapping[str, Any] | None = None) -> EpisodeView:
        """What there is to see of the episode in a row; ``info`` is the one of its end."""
        pieces = (
            Piece(self.dataset.prompts[self.start_index[row]], by_agent=False),
            Piece(self.completions(np.array([row]))[0], by_agent=True),
        )
        if info is not None:
            return EpisodeView.ended(pieces, info)
        return EpisodeView(pieces, self.payments.so_far(row), n_new_tokens=int(self.state.new_lengths[row]))

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
                "prompt_index": int(self.start_index[row]),
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
        return [self.dataset.prompts[index] for index in self.start_index[rows]]

    def _columns(self, rows: IntArray) -> dict[str, Sequence[Any]]:
        """What rewards receive besides prompts and completions: the data set's columns, and the token ids."""
        indices = self.start_index[rows]
        columns: dict[str, Sequence[Any]] = {
            name: [values[index] for index in indices] for name, values in self.dataset.columns.items()
        }
        columns["prompt_ids"] = [self.state.prompt_ids(row).tolist() for row in rows]
        columns["completion_ids"] = [self.state.completion_ids(row).tolist() for row in rows]
        return columns

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
