"""Questions that run side by side: answered token by token, or by one choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_envs.episodes import StepOutcome
from lm_envs.errors import ConfigurationError
from lm_envs.legal_actions import LegalActions
from lm_envs.payments import Completions
from lm_envs.qa.config import QAConfig
from lm_envs.qa.constraint import OnlyChoices, check_choices, written_choices
from lm_envs.qa.extraction import extractor, read_answer
from lm_envs.qa.one_choice import OneChoice
from lm_envs.qa.prompt_tokens import PromptTokens
from lm_envs.qa.questions import Question
from lm_envs.reference_room import check_references
from lm_envs.rendering import EpisodeView, Piece
from lm_envs.text_episodes import TextEpisodes
from lm_envs.token_state import IntArray
from lm_envs.vocabulary import Vocabulary, load_vocabulary

ANSWER_COLUMNS: tuple[str, ...] = ("reference", "extracted", "choices")
CHECKED_QUESTIONS = 8  # of a generator; of questions at hand all answers are checked at construction


class QAEpisodes(TextEpisodes):
    """``num_rows`` questions with answers that can be checked."""

    def __init__(self, config: QAConfig, num_rows: int) -> None:
        """Load tokenizer, questions and reward; fails on everything that could fail later.

        Args:
            config: The environment's arguments.
            num_rows: Number of episodes side by side.

        Raises:
            ConfigurationError: The observation is longer than what the model was built for, choices are asked for
                where there are none, or are not read as what they are.
            DataError: The data is malformed, a gold answer is longer than ``max_new_tokens``, or choices are not told
                apart by their tokens.
            ModelError: The model cannot be loaded.
            UnknownNameError: No such data set, split, reward or column.
        """
        self.config = config
        self.questions = config.load_questions()
        rewards = config.load_reward(self.questions)
        rewards.check_columns((*self.questions.columns, *ANSWER_COLUMNS))
        self.extract = extractor(self.questions.default_answer if config.answer is None else config.answer)
        self.chooses = config.actions == "choice"
        vocabulary = load_vocabulary(config.model, config.trust_remote_code, may_be_encoder=self.chooses)
        super().__init__(config, rewards, vocabulary, self._rule(vocabulary, num_rows), num_rows)
        self._prompt_tokens = PromptTokens(vocabulary, config.max_prompt_tokens)
        self._asked: list[Question | None] = [None] * num_rows
        if not self.chooses:
            self._check_questions()

    def _rule(self, vocabulary: Vocabulary, num_rows: int) -> LegalActions:
        """Which actions are legal."""
        if self.chooses:
            return OneChoice(self.questions.max_choices, num_rows)
        return OnlyChoices(vocabulary, num_rows) if self.config.constrain else LegalActions(vocabulary.size)

    @property
    def n_starts(self) -> int:
        """Number of questions in the split."""
        return len(self.questions)

    @property
    def _action_noun(self) -> str:
        return "choice's number" if self.chooses else super()._action_noun

    @property
    def _out_of_range(self) -> str:
        return f"is none of the {self.questions.max_choices} choices" if self.chooses else super()._out_of_range

    def _question(self, row: int) -> Question:
        question = self._asked[row]
        assert question is not None
        return question

    def _begin(self, rows: IntArray, indices: IntArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        asked = [self.questions[int(index)] for index in indices]
        for row, question in zip(rows.tolist(), asked, strict=True):
            self._asked[row] = question
            if isinstance(self.legal_actions, OnlyChoices):
                self.legal_actions.begin(row, question.prompt, question.choices)
            elif isinstance(self.legal_actions, OneChoice):
                self.legal_actions.begin(row, len(question.choices))
        return self._prompt_tokens([question.prompt for question in asked])

    def _prompt(self, row: int) -> str:
        return self._question(row).prompt

    def _own_columns(self, rows: IntArray, texts: Sequence[str]) -> dict[str, Sequence[Any]]:
        asked = [self._question(row) for row in rows]
        own = {name: [question.columns[name] for question in asked] for name in self.questions.columns}
        return {
            **own,
            "reference": [list(question.answers) for question in asked],
            "extracted": [self._answer(text) for text in texts],
            "choices": [list(question.choices) for question in asked],
        }

    def _answer(self, text: str) -> str:
        """The answer in a completion; a choice is one as it is."""
        return text if self.chooses else read_answer(self.extract, text)

    def _own_infos(self, rows: IntArray, finished: Completions) -> list[dict[str, Any]]:
        return [
            self._own_info(self._question(row), self._answer(text))
            for row, text in zip(rows, finished.texts, strict=True)
        ]

    def _own_info(self, question: Question, answer: str) -> dict[str, Any]:
        right = self.questions.is_right(question, answer)
        self.questions.record(question, right)
        info = {
            "answer": answer,
            "reference": list(question.answers),
            "choices": list(question.choices),
            "answerable": question.answerable,
            "is_success": right,
        }
        verifier = question.columns.get("score")
        if callable(verifier):
            info["score"] = float(verifier(answer)) if answer.strip() else 0.0
        return info

    def view(self, row: int, info: Mapping[str, Any] | None = None) -> EpisodeView:
        """What there is to see of the episode in a row; ``info`` is the one of its end."""
        if not self.chooses or info is None:
            return super().view(row, info)
        return EpisodeView.ended((Piece(self._prompt(row), False), Piece(f" {info['completion']}", True)), info)

    def _check_questions(self) -> None:
        """Raise an error for questions that no agent can answer: what is found here would only show as reward 0.

        Of a generator's questions a few are checked, of others all: one gold answer of each has to fit. Where only
        choices can be written, they have to differ, and to be read as what they are.
        """
        n_questions = len(self.questions)
        n_checked = min(n_questions, CHECKED_QUESTIONS) if self.questions.generated else n_questions
        asked = [self.questions[number] for number in range(n_checked)]
        answers = [question.answers for question in asked]
        check_references(answers, self.config.max_new_tokens, self.vocabulary, "the answer to question")
        if self.config.constrain:
            check_choices(self.vocabulary, asked)
            self._check_readable(asked)

    def _check_readable(self, asked: Sequence[Question]) -> None:
        written = [written_choices(question.prompt, question.answers[:1])[0] for question in asked]
        texts = self.vocabulary.decode(self.vocabulary.tokenizer(written, add_special_tokens=False)["input_ids"])
        for number, (question, text) in enumerate(zip(asked, map(self.stop_rule.cut, texts), strict=True)):
            answer = self._answer(text)
            if not self.questions.is_right(question, answer):
                raise ConfigurationError(
                    f"with constrain=True the right answer to question {number} is written {text!r}, from which "
                    f"{answer!r} is read; expected {question.answers[0]!r}. Leave out answer={self.config.answer!r} "
                    f"and stop={list(self.config.stop or ())}; if the model's tokens lose text, take another model"
                )

    def _step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Append one token to every row, or choose."""
        if not self.chooses:
            return super()._step(actions)
        rows = list(range(self.num_rows))
        texts = [self._choice(row, action) for row, action in zip(rows, actions.tolist(), strict=True)]
        columns = {
            **self._own_columns(np.array(rows), texts),
            "prompt_ids": [self.state.prompt_ids(row).tolist() for row in rows],
        }
        chosen = Completions([self._prompt(row) for row in rows], texts, columns)
        ended = np.arange(self.num_rows)
        payment = self.payments.pay(chosen, ended)
        infos = self._infos(ended, ["choice"] * self.num_rows, chosen, payment)
        return StepOutcome(payment.rewards, ended, [{**info, "n_new_tokens": 1} for info in infos], {})

    def _choice(self, row: int, action: int) -> str:
        """The text of a choice; none where the question has fewer."""
        choices = self._question(row).choices
        return choices[action] if action < len(choices) else ""
