"""Texts that run side by side: a prompt, then tokens until the text ends, then a reward."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from lm_envs.episodes import Episodes, StepOutcome
from lm_envs.legal_actions import LegalActions
from lm_envs.payments import Completions, Payment, RewardPayments
from lm_envs.rendering import EpisodeView, Piece
from lm_envs.stopping import STOP_REASONS, StopRule
from lm_envs.token_state import IntArray, TokenState
from lm_envs.vocabulary import Vocabulary

if TYPE_CHECKING:
    from lm_envs.rewards import RewardSum


class TextConfig(Protocol):
    """What the arguments of all environments of texts have."""

    @property
    def max_prompt_tokens(self) -> int: ...  # noqa: D102
    @property
    def max_new_tokens(self) -> int: ...  # noqa: D102
    @property
    def max_tokens(self) -> int: ...  # noqa: D102
    @property
    def min_new_tokens(self) -> int: ...  # noqa: D102
    @property
    def stop(self) -> Any: ...  # noqa: D102
    @property
    def shaping(self) -> bool: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102


class TextEpisodes(Episodes):
    """Token states, end of episodes, rewards and infos of ``num_rows`` texts; where prompts come from is left open.

    Each reward is called once a step, for all rows that it is paid for.
    """

    def __init__(
        self,
        config: TextConfig,
        rewards: RewardSum,
        vocabulary: Vocabulary,
        legal_actions: LegalActions,
        num_rows: int,
    ) -> None:
        """Prepare everything but the prompts.

        Args:
            config: The environment's arguments.
            rewards: The reward terms.
            vocabulary: The tokens.
            legal_actions: Which of them are legal.
            num_rows: Number of episodes side by side.

        Raises:
            ConfigurationError: The observation is longer than what the model was built for.
        """
        state = TokenState(num_rows, config.max_tokens, vocabulary.pad_id)
        super().__init__(vocabulary, state, legal_actions, config.split)
        budgets = f"{config.max_prompt_tokens} + {config.max_new_tokens}"
        self._check_length(f"max_prompt_tokens + max_new_tokens = {budgets}", config.max_tokens)
        self.payments = RewardPayments(rewards, num_rows, config.shaping)
        self.stop_rule = StopRule(vocabulary, tuple(config.stop or ()), config.max_new_tokens, config.min_new_tokens)

    @abstractmethod
    def _begin(self, rows: IntArray, indices: IntArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The prompts of these numbers begin in ``rows``.

        Returns:
            Their ids ``(k, width)``, no wider than the room for prompts, and their lengths ``(k,)``.
        """

    @abstractmethod
    def _prompt(self, row: int) -> str:
        """The text of a row's prompt."""

    @abstractmethod
    def _own_columns(self, rows: IntArray, texts: Sequence[str]) -> dict[str, Sequence[Any]]:
        """What rewards receive about the rows, whose completions are ``texts``, besides texts and token ids."""

    @abstractmethod
    def _own_infos(self, rows: IntArray, finished: Completions) -> list[dict[str, Any]]:
        """What the infos of the texts that ended in ``rows`` hold besides what they always hold."""

    def _start(
        self, rows: IntArray, indices: IntArray, generators: Sequence[np.random.Generator]
    ) -> list[dict[str, Any]]:
        """Begin with the prompts ``indices``."""
        self.state.start(rows, *self._begin(rows, indices))
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
                infos = self._infos(ended, [STOP_REASONS[reason] for reason in reasons[ended]], finished, payment)
        return StepOutcome(rewards, ended, infos, {})

    def completions(self, rows: IntArray) -> list[str]:
        """The texts generated so far in ``rows``, without special tokens and cut before a stop string."""
        texts = self.vocabulary.decode([self.state.completion_ids(row).tolist() for row in rows])
        return [self.stop_rule.cut(text) for text in texts]

    def view(self, row: int, info: Mapping[str, Any] | None = None) -> EpisodeView:
        """What there is to see of the episode in a row; ``info`` is the one of its end."""
        pieces = (
            Piece(self._prompt(row), by_agent=False),
            Piece(self.completions(np.array([row]))[0], by_agent=True),
        )
        if info is not None:
            return EpisodeView.ended(pieces, info)
        return EpisodeView(pieces, self.payments.so_far(row), n_new_tokens=int(self.state.new_lengths[row]))

    def _infos(
        self, ended: IntArray, reasons: Sequence[str], finished: Completions, payment: Payment
    ) -> list[dict[str, Any]]:
        """The infos of the episodes that ended."""
        infos: list[dict[str, Any]] = [
            {
                "prompt": finished.prompts[k],
                "completion": finished.texts[k],
                "stop_reason": reasons[k],
                "n_new_tokens": int(self.state.new_lengths[row]),
                "prompt_index": int(self.start_index[row]),
                "reward_terms": {name: float(values[k]) for name, values in payment.terms.items()},
                **own,
            }
            for k, (row, own) in enumerate(zip(ended, self._own_infos(ended, finished), strict=True))
        ]
        if payment.token_rewards is not None:
            for info, token_rewards in zip(infos, payment.token_rewards, strict=True):
                info["token_rewards"] = [float(value) for value in token_rewards]
        return infos

    def _completions(self, rows: IntArray) -> Completions:
        """What rewards read about ``rows``."""
        texts = self.completions(rows)
        ids: dict[str, Sequence[Any]] = {
            "prompt_ids": [self.state.prompt_ids(row).tolist() for row in rows],
            "completion_ids": [self.state.completion_ids(row).tolist() for row in rows],
        }
        return Completions([self._prompt(row) for row in rows], texts, {**self._own_columns(rows, texts), **ids})
