"""Weighted sums of rewards that report each term."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lm_envs.awaiting import await_together, close_all
from lm_envs.errors import (
    ConfigurationError,
    MissingDependencyError,
    ModelError,
    RewardError,
    UnknownNameError,
)
from lm_envs.rewards.protocol import (
    CallStyle,
    RewardFunction,
    call_style,
    is_per_step,
    is_per_turn,
    scores_partial,
)
from lm_envs.rewards.scores import Scores, read_scores, show_episode

PROVIDED_COLUMNS = ("completion_ids", "prompt_ids")
"""Columns that environments pass to every reward, beside those of the data set."""

DIALOGUE_COLUMNS = ("messages", "turn", "done", "success", "partner_terms", "turn_info")
"""Columns that conversations pass to every reward, beside those of the partner."""


PASSED_ON = (RewardError, ModelError, MissingDependencyError)
"""What a reward may raise that is passed on as it is: it says already what is wrong and what to do."""


@dataclass(frozen=True)
class RewardTerm:
    """One reward function in a weighted sum.

    Attributes:
        name: Its key in ``RewardBatch.terms``, unique within the sum.
        function: The reward function.
        weight: What its values are multiplied by.
        per_step: Whether it is paid at every step instead of at the episode's end.
        per_turn: Whether a conversation pays it after each turn of the agent instead of at its end.
        partial: Whether it is paid at the end and can score a completion that is not finished.
    """

    name: str
    function: RewardFunction
    weight: float = 1.0
    per_step: bool = field(init=False)
    per_turn: bool = field(init=False)
    partial: bool = field(init=False)
    style: CallStyle = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look up once how the function is called and when it is paid."""
        object.__setattr__(self, "per_step", is_per_step(self.function))
        object.__setattr__(self, "per_turn", is_per_turn(self.function))
        object.__setattr__(self, "partial", not self.per_step and scores_partial(self.function))
        object.__setattr__(self, "style", call_style(self.function))


@dataclass
class RewardBatch:
    """The rewards of ``n`` episodes.

    Attributes:
        total: The sum of all terms, ``(n,)`` float64.
        terms: Each term times its weight, ``(n,)`` float64.
        token_rewards: If a reward returned per-token lists: for each episode the weighted sum of its lists,
            ``(n_tokens,)`` float64. Their sum is part of ``total``; to spread it over the steps, subtract
            ``token_rewards.sum()`` from the last step's reward and add ``token_rewards`` to all steps.
    """

    total: np.ndarray
    terms: dict[str, np.ndarray]
    token_rewards: list[np.ndarray] | None = None


class RewardSum:
    """A weighted sum of reward functions.

    Calling it (or :meth:`episode`) evaluates the rewards that are paid at an episode's end, :meth:`step`
    those that are paid at every step; :meth:`progress` scores completions that grow. It can be pickled if its
    functions can.

    Args:
        terms: The terms. Names that occur twice get ``_2``, ``_3``, ... appended.

    Attributes:
        terms: All terms in order.
        per_step: The functions of the terms that are paid at every step.
        partial: The functions of the other terms that can score a completion that is not finished.

    Raises:
        ConfigurationError: There is no term.
    """

    def __init__(self, terms: Iterable[RewardTerm]) -> None:
        """Sort the terms into those paid at the end and those paid at every step."""
        self.terms: tuple[RewardTerm, ...] = _with_unique_names(terms)
        if not self.terms:
            raise ConfigurationError("a reward needs at least one term, got none. Name one, e.g. reward='sentiment'.")
        self._episode_terms = tuple(term for term in self.terms if not term.per_step)
        self._step_terms = tuple(term for term in self.terms if term.per_step)
        self._turn_terms = tuple(term for term in self.terms if term.per_turn)
        self.per_step: tuple[RewardFunction, ...] = tuple(term.function for term in self._step_terms)
        self.partial: tuple[RewardFunction, ...] = tuple(t.function for t in self.terms if t.partial)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all terms in order."""
        return tuple(term.name for term in self.terms)

    def __call__(self, prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> RewardBatch:
        """The rewards at the end of episodes: see :meth:`episode`."""
        return _evaluate(self._episode_terms, prompts, completions, columns)

    def episode(self, prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> RewardBatch:
        """Evaluate the rewards that are paid at the episode's end, for all episodes that ended.

        Args:
            prompts: The ``n`` prompts.
            completions: The ``n`` completions.
            **columns: Further data for each episode, each of length ``n``: the data set's columns,
                ``prompt_ids`` and ``completion_ids``.

        Raises:
            RewardError: A function raised, or did not return one finite number, None or list of finite
                numbers for each episode. None means that the reward does not apply to the episode; at least
                one term has to apply.
        """
        return _evaluate(self._episode_terms, prompts, completions, columns)

    def turn(self, prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> RewardBatch:
        """Evaluate the rewards that a conversation pays after each turn, for the turns that ended.

        As :meth:`episode`, but there may be turns that no term applies to.
        """
        arguments = _arguments(prompts, completions, columns)
        return _sum(self._turn_terms, _scores(self._turn_terms, arguments), arguments)

    def step(self, prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> RewardBatch:
        """Evaluate the rewards that are paid at every step, given the completions so far.

        Takes the same arguments and raises the same errors as :meth:`episode`.
        """
        return _evaluate(self._step_terms, prompts, completions, columns)

    def progress(
        self, ended: np.ndarray, prompts: Sequence[str], completions: Sequence[str], /, **columns: Any
    ) -> tuple[dict[str, np.ndarray], RewardBatch]:
        """Score completions that are not finished, and those of the episodes that ended, in one call of each reward.

        Args:
            ended: Which of the ``n`` episodes ended, ``(k,)`` integers.
            prompts: The ``n`` prompts.
            completions: The ``n`` completions so far.
            **columns: As in :meth:`episode`.

        Returns:
            Of each term that can score a partial completion, the weighted scores ``(n,)`` float64, NaN where the
            function returned None or a per-token list. And what :meth:`episode` returns for those that ended.

        Raises:
            RewardError: As :meth:`episode`; a partial completion need not have a term that applies to it.
        """
        arguments = _arguments(prompts, completions, columns)
        finished = {name: [values[i] for i in ended] for name, values in arguments.items()}
        partial = _scores([term for term in self._episode_terms if term.partial], arguments)
        scores = _scores([term for term in self._episode_terms if not term.partial], finished)
        scores |= {name: score.take(ended) for name, score in partial.items()}
        weighted = {t.name: t.weight * partial[t.name].numbers() for t in self._episode_terms if t.partial}
        return weighted, _combine(self._episode_terms, scores, finished)

    def check_columns(self, available: Iterable[str]) -> None:
        """Check before any long work that the data have the columns that the rewards read.

        Args:
            available: The names of the data set's columns.

        Raises:
            UnknownNameError: A reward needs a column that is not there.
        """
        known = {*available, *PROVIDED_COLUMNS}
        for term in self.terms:
            _check_term_columns(term, known)

    def __repr__(self) -> str:
        """For example ``RewardSum(1.0 * sentiment + 0.2 * repetition)``."""
        return f"RewardSum({' + '.join(f'{term.weight} * {term.name}' for term in self.terms)})"


def _with_unique_names(terms: Iterable[RewardTerm]) -> tuple[RewardTerm, ...]:
    unique: dict[str, RewardTerm] = {}
    for term in terms:
        name, number = term.name, 1
        while name in unique:
            number += 1
            name = f"{term.name}_{number}"
        unique[name] = RewardTerm(name, term.function, term.weight)
    return tuple(unique.values())


def _check_term_columns(term: RewardTerm, known: Iterable[str]) -> None:
    for column in term.style.required:
        if column not in known:
            remedy = f"The reward {term.name!r} reads it: add it to the data, or set the reward's `column`."
            if column in DIALOGUE_COLUMNS:
                remedy = f"The reward {term.name!r} is for conversations: Dialogue-v0 brings what it reads."
            raise UnknownNameError.for_name("column", column, known, remedy)


def _evaluate(
    terms: Sequence[RewardTerm],
    prompts: Sequence[str],
    completions: Sequence[str],
    columns: Mapping[str, Any],
) -> RewardBatch:
    arguments = _arguments(prompts, completions, columns)
    return _combine(terms, _scores(terms, arguments), arguments)


def _arguments(
    prompts: Sequence[str], completions: Sequence[str], columns: Mapping[str, Any]
) -> Mapping[str, Sequence[Any]]:
    if len(completions) != len(prompts):
        raise ConfigurationError(f"expected as many completions as prompts, got {len(completions)} and {len(prompts)}.")
    return {"prompts": prompts, "completions": completions, **columns}


def _scores(terms: Sequence[RewardTerm], arguments: Mapping[str, Any]) -> dict[str, Scores]:
    """Call every function once, and read what it returned; none is called for no episode."""
    prompts, completions = arguments["prompts"], arguments["completions"]
    if not len(prompts):
        return {term.name: Scores(np.zeros(0)) for term in terms}
    results = _call_all(terms, arguments)
    return {t.name: read_scores(t.name, r, prompts, completions) for t, r in zip(terms, results, strict=True)}


def _combine(
    terms: Sequence[RewardTerm], scores_by_name: Mapping[str, Scores], arguments: Mapping[str, Any]
) -> RewardBatch:
    """The weighted sum of the terms, one of which has to apply to each episode."""
    scores = [scores_by_name[term.name] for term in terms]
    _check_that_one_applies(terms, scores, arguments["prompts"], arguments["completions"])
    return _sum(terms, scores_by_name, arguments)


def _sum(
    terms: Sequence[RewardTerm], scores_by_name: Mapping[str, Scores], arguments: Mapping[str, Any]
) -> RewardBatch:
    """The weighted sum of the terms."""
    total = np.zeros(len(arguments["prompts"]))
    scores = [scores_by_name[term.name] for term in terms]
    weighted: dict[str, np.ndarray] = {}
    for term, score in zip(terms, scores, strict=True):
        weighted[term.name] = term.weight * score.values
        total += weighted[term.name]
    if all(score.tokens is None for score in scores):
        return RewardBatch(total, weighted)
    return RewardBatch(total, weighted, _sum_tokens(terms, scores, arguments))


def _call_all(terms: Sequence[RewardTerm], arguments: Mapping[str, Any]) -> list[Any]:
    """Call every function once; await those that are ``async`` together."""
    results: list[Any] = []
    waiting: list[int] = []
    try:
        for term in terms:
            results.append(_call(term, arguments))
            if hasattr(results[-1], "__await__"):
                waiting.append(len(results) - 1)
    except BaseException:
        close_all(results)
        raise
    if waiting:
        for i, result in zip(waiting, await_together([results[i] for i in waiting]), strict=True):
            if isinstance(result, PASSED_ON):
                raise result
            if isinstance(result, BaseException):
                raise _failure(terms[i], result, arguments) from result
            results[i] = result
    return results


def _call(term: RewardTerm, arguments: Mapping[str, Any]) -> Any:
    try:
        return term.style.call(term.function, arguments)
    except PASSED_ON:
        raise
    except Exception as error:
        raise _failure(term, error, arguments) from error


def _failure(term: RewardTerm, error: BaseException, arguments: Mapping[str, Any]) -> RewardError:
    missing = [column for column in term.style.required if column not in arguments]
    there = sorted(set(arguments) - {"prompts", "completions"})
    hint = f" It needs the columns {missing}; there are {there}." if missing else ""
    prompts, completions = arguments["prompts"], arguments["completions"]
    return RewardError(
        f"the reward {term.name!r} raised {type(error).__name__}: {error}.{hint} It was called for "
        f"{len(prompts)} episode(s); the first: {show_episode(prompts[0], completions[0])}"
    )


def _check_that_one_applies(
    terms: Sequence[RewardTerm], scores: Sequence[Scores], prompts: Sequence[str], completions: Sequence[str]
) -> None:
    applies = [score.applies for score in scores if score.applies is not None]
    if not applies or len(applies) < len(scores):
        return
    none_applies = ~np.any(applies, axis=0)
    if none_applies.any():
        i = int(np.argmax(none_applies))
        raise RewardError(
            f"no reward applies to an episode: {', '.join(repr(term.name) for term in terms)} returned None. "
            "Look for a missing return or an empty reference column. "
            f"{show_episode(prompts[i], completions[i])}"
        )


def _sum_tokens(
    terms: Sequence[RewardTerm], scores: Sequence[Scores], arguments: Mapping[str, Any]
) -> list[np.ndarray]:
    """Add up the per-token lists of all terms, for each episode."""
    completion_ids = arguments.get("completion_ids")
    sums: list[np.ndarray] = []
    for i, episode in enumerate(zip(arguments["prompts"], arguments["completions"], strict=True)):
        lists = [(t, s.tokens[i]) for t, s in zip(terms, scores, strict=True) if s.tokens is not None]
        found = [(term, tokens) for term, tokens in lists if tokens is not None]
        lengths = [len(tokens) for _, tokens in found]
        total = np.zeros(max(lengths, default=0) if completion_ids is None else len(completion_ids[i]))
        for term, tokens in found:
            if len(tokens) != len(total):
                raise RewardError(
                    f"the reward {term.name!r} returned {len(tokens)} per-token values for {len(total)} "
                    f"tokens; expected one for each token. {show_episode(*episode)}"
                )
            total += term.weight * tokens
        sums.append(total)
    return sums
