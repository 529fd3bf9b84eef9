"""Text generation episodes that run side by side: prompts of a task, or of the user's own data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_envs.errors import DataError
from lm_envs.legal_actions import legal_actions
from lm_envs.payments import Completions
from lm_envs.prompt_table import PromptTable, prompt_table
from lm_envs.reference_room import check_references
from lm_envs.text_episodes import TextEpisodes
from lm_envs.text_gen_config import TextGenConfig
from lm_envs.token_state import IntArray
from lm_envs.vocabulary import load_vocabulary


class TextGenEpisodes(TextEpisodes):
    """``num_rows`` texts that continue the prompts of a data set."""

    def __init__(self, config: TextGenConfig, num_rows: int) -> None:
        """Load tokenizer, prompts and reward; fails on everything that could fail later.

        Args:
            config: The environment's arguments.
            num_rows: Number of episodes side by side.

        Raises:
            ConfigurationError: The observation is longer than what the model was built for.
            DataError: The data is malformed, a reference of a task that compares with one is longer than
                ``max_new_tokens``, or a prompt is too long and ``on_long_prompt="raise"``.
            ModelError: The model cannot be loaded.
            UnknownNameError: No such task, split, reward, model or column.
        """
        self.config = config
        self.task = config.load_task()
        rewards = config.load_reward(self.task)
        self.dataset = config.load_dataset(self.task)
        rewards.check_columns(self.dataset.columns)
        vocabulary = load_vocabulary(config.model, config.trust_remote_code)
        super().__init__(config, rewards, vocabulary, legal_actions(vocabulary, config.min_new_tokens), num_rows)
        self._table: PromptTable | None = None
        if self.task is not None and self.task.read_own is not None and "reference" in self.dataset.columns:
            self._check_references()
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

    def _begin(self, rows: IntArray, indices: IntArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        return self.table.padded(indices, self.config.max_prompt_tokens)

    def _prompt(self, row: int) -> str:
        return self.dataset.prompts[self.start_index[row]]

    def _own_columns(self, rows: IntArray, texts: Sequence[str]) -> dict[str, Sequence[Any]]:
        indices = self.start_index[rows]
        return {name: [values[index] for index in indices] for name, values in self.dataset.columns.items()}

    def _own_infos(self, rows: IntArray, finished: Completions) -> list[dict[str, Any]]:
        infos: list[dict[str, Any]] = [{} for _ in finished.texts]
        for info, reference in zip(infos, finished.columns.get("reference", ()), strict=False):
            if isinstance(reference, str | list):
                info["reference"] = reference
        if self.task is not None and self.task.is_success is not None:
            successes = self.task.is_success(finished.prompts, finished.texts, **finished.columns)
            for info, success in zip(infos, successes, strict=True):
                info["is_success"] = bool(success)
        return infos

    def _check_references(self) -> None:
        references = [[row] if isinstance(row, str) else row for row in self.dataset.columns["reference"]]
        check_references(references, self.config.max_new_tokens, self.vocabulary, "the reference of prompt")

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
