"""Questions of the user's own, in the forms of SQuAD, of multiple choice, and plain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lm_envs.data.loading import load_table
from lm_envs.data.tables import Table, check_column, n_rows
from lm_envs.data.templates import check_template, fill
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.qa.questions import Question, Questions
from lm_envs.qa.sources.gold import LETTERS, Choices, choices_of, free_answers, right_choices

RESERVED_COLUMNS = ("prompts", "completions", "prompt_ids", "completion_ids", "reference", "extracted")
_CONTEXT = "{context} "
_TEMPLATE = "Question: {question} Answer:"
_CHOICE_TEMPLATE = "Question: {question}\n{choices}\nAnswer:"


class OwnQuestions(Questions):
    """Questions out of a file, a list of rows, a folder or a data set.

    A row has one of three forms, told apart by the columns that are there:

    - SQuAD: ``context, question, answers``; answers as ``{"text": [...], "answer_start": [...]}``, a list of texts, or
      one text. An empty list is a question without answer. The context may be missing.
    - Multiple choice: ``question, choices, answer``; choices as a list, or as ``{"text": [...], "label": [...]}``; the
      answer as the choice's label, its text, its place from 0, or its letter; an integer is a place, except among
      choices that are numbers. A context may be there.
    - Plain: ``question, answer``.

    Args:
        dataset: The rows, as :func:`lm_envs.data.load_dataset` takes them. A source that does not say what its splits
            are is split by its questions; where several questions share a context, say so in a column ``split``.
        split: Which part.
        template: The prompt. Its fields are the names of the columns, and ``{choices}``, the choices line by line with
            letters. None: context (if any), question and, line by line, choices (if any), then ``Answer:``.
        context_column: The column with what is asked about.
        question_column: The column with the questions.
        answer_column: The column with the answers; None: ``answers``, else ``answer``.
        choices_column: The column with the choices.
        choices: The same choices for all questions, as the labels of a classification; the column is not needed then.
        unanswerable: The right answer where SQuAD has none. With ``""``, as in SQuAD 2.0, silence is right.

    Columns:
        All of the data but the answers; of the names that the environment uses, none but the choices may be there.

    Raises:
        ConfigurationError: The template has a field that is no column, or ``choices`` are no different texts.
        DataError: The data are missing or malformed: a column is not there, a question has no answer, choices are
            equal, the answer is not among them. The message says which row.
        MissingDependencyError: The data need a package that is not installed.

    References:
        Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822; Clark et al. 2018, https://arxiv.org/abs/1803.05457
    """

    def __init__(
        self,
        dataset: Any,
        split: str = "train",
        template: str | None = None,
        context_column: str = "context",
        question_column: str = "question",
        answer_column: str | None = None,
        choices_column: str = "choices",
        choices: Sequence[str] | None = None,
        unanswerable: str = "unknown",
    ) -> None:
        self._names = {"context": context_column, "question": question_column, "choices": choices_column}
        self._answers = answer_column
        self._choices = None if choices is None else _same_choices(choices)
        self._unanswerable = unanswerable
        table = load_table(dataset, question_column, split, None, self._check, kind="questions")
        answers = self._answer_column(table)
        self.columns = tuple(name for name in table if name not in (answers, choices_column))  # type: ignore[misc]
        chosen = self._has_choices(table)
        self._template = self._default_template(table) if template is None else template
        check_template(self._template, self._fields(table))
        self._questions = [self._question(row, row[answers]) for row in _rows(table)]
        self.max_choices = max(len(question.choices) for question in self._questions)
        if chosen:
            self.default_reward = "choice_accuracy"  # type: ignore[misc]  # differs from data to data

    def __len__(self) -> int:
        """Number of questions."""
        return len(self._questions)

    def __getitem__(self, index: int) -> Question:
        """The question of that number."""
        return self._questions[index]

    def is_right(self, question: Question, answer: str) -> bool:
        """Whether an answer is right; a choice may be named by its letter."""
        from lm_envs.rewards.choices import choice_named

        if question.choices:
            return choice_named(answer, question.choices) in question.answers
        return super().is_right(question, answer)

    def _check(self, table: Table, column: str, place: str) -> None:
        """Check all rows of the source, before it is split, so that messages have its own numbers."""
        if not table or n_rows(table) == 0:
            raise DataError(f"{place} is empty: expected at least one row with a question.")
        check_column(table, column, place, "Name the column with the questions: question_column=...")
        answers = self._answer_column(table)
        remedy = "Name the column with the answers: answer_column=... Usual are 'answers' and 'answer'."
        check_column(table, answers, place, remedy)
        for name in RESERVED_COLUMNS:
            if name in table and name != answers:
                raise DataError(f"{place} has a column named {name!r}, which the environment brings itself: rename it.")
        for number, row in enumerate(_rows(table), start=1):
            row_place = f"row {number} of {place}"
            _check_texts(row, [name for name in (column, self._names["context"]) if name in row], row_place)
            self._gold(row, row[answers], row_place)

    def _answer_column(self, table: Table) -> str:
        """The name of the column with the answers."""
        return self._answers or ("answers" if "answers" in table else "answer")

    def _has_choices(self, table: Mapping[str, Any]) -> bool:
        return self._choices is not None or self._names["choices"] in table

    def _gold(self, row: Mapping[str, Any], value: Any, place: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The gold answers of a row, and its choices."""
        if not self._has_choices(row):
            return free_answers(value, self._unanswerable, place), ()
        choices = self._choices or choices_of(row[self._names["choices"]], place)
        return right_choices(value, choices, place), choices.texts

    def _default_template(self, table: Table) -> str:
        """The template for the form that the data have."""
        context = _CONTEXT if self._names["context"] in table else ""
        return context + (_CHOICE_TEMPLATE if self._names["choices"] in table and not self._choices else _TEMPLATE)

    def _fields(self, table: Table) -> set[str]:
        """What a template may show of a question."""
        parts = {name for name in ("context", "question") if self._names[name] in table}
        return {*self.columns, *parts, *(["choices"] if self._has_choices(table) else [])}

    def _question(self, row: Mapping[str, Any], value: Any) -> Question:
        answers, choices = self._gold(row, value, "a row")
        columns = {name: row[name] for name in self.columns}
        parts = {name: row[self._names[name]] for name in ("context", "question") if self._names[name] in row}
        letters = [f"{letter}. " for letter in LETTERS] + [""] * len(choices)
        listed = "\n".join(letter + choice for letter, choice in zip(letters, choices, strict=False))
        prompt = fill(self._template, {**columns, **parts, "choices": listed})
        answerable = bool(choices) or answers != (self._unanswerable,)
        return Question(prompt, answers, choices, columns, answerable)


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    return ({name: values[i] for name, values in table.items()} for i in range(n_rows(table)))


def _check_texts(row: Mapping[str, Any], columns: Sequence[str], place: str) -> None:
    for column in columns:
        if not isinstance(row[column], str) or not row[column].strip():
            raise DataError(
                f"{place} has {row[column]!r} in the column {column!r}; expected a text that is not empty. Name other "
                "columns with question_column=... and context_column=..."
            )


def _same_choices(choices: Any) -> Choices:
    """The choices that all questions have."""
    if isinstance(choices, str) or not isinstance(choices, Sequence):
        raise ConfigurationError(f"choices has to be a list of texts, got {choices!r}")
    try:
        return choices_of(choices, "choices=...")
    except DataError as error:
        raise ConfigurationError(str(error)) from error
