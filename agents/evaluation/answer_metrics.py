"""Metrics of question answering: SQuAD's, accuracy and macro F1 of choices, verifiers, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.evaluation.estimates import Array, CorpusMetric, mean_of
from lm_envs.rewards import get
from lm_envs.rewards.choices import choice_named
from lm_envs.rewards.numeric import read_number

if TYPE_CHECKING:
    from agents.evaluation.generation import Completion

Values = list[float | None]


def answer_metrics(completions: Sequence[Completion]) -> dict[str, CorpusMetric]:
    """What answers are measured by; the values are those of the rewards of the same names.

    - choices: ``accuracy``; ``macro_f1`` where all questions have the same choices, as in a classification;
    - a verifier: ``score``, its mean;
    - else ``exact_match`` and ``f1``, the best over the gold answers. Where some questions have no answer, SQuAD 2.0's
      split: ``has_ans_exact_match``, ``has_ans_f1``, ``no_ans_exact_match``, ``no_ans_f1``. Where all gold answers are
      numbers, also ``numeric_match``;
    - ``answered``: share of the completions in which there is an answer; not where it is chosen.

    Args:
        completions: Episodes of ``QA-v0``.

    References:
        Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822
    """
    outcomes = [item.outcome for item in completions]
    found: dict[str, Values] = {}
    if any(outcome["choices"] for outcome in outcomes):
        found["accuracy"] = _by_reward("choice_accuracy", completions)
    elif any("score" in outcome for outcome in outcomes):
        found["score"] = [outcome.get("score") for outcome in outcomes]
    else:
        found |= _squad(completions)
    metrics = {name: mean_of(values) for name, values in found.items()}
    if len({tuple(outcome["choices"]) for outcome in outcomes}) == 1 and outcomes[0]["choices"]:
        metrics["macro_f1"] = _macro_f1(outcomes)
    if any(item.stop_reason != "choice" for item in completions):
        metrics["answered"] = mean_of([float(bool(outcome["answer"].strip())) for outcome in outcomes])
    return metrics


def _squad(completions: Sequence[Completion]) -> dict[str, Values]:
    """Exact match and F1; of the questions with and without an answer too, where there are both."""
    found = {
        name: _by_reward(reward, completions) for name, reward in (("exact_match", "exact_match"), ("f1", "token_f1"))
    }
    answerable = [item.outcome["answerable"] for item in completions]
    if len(set(answerable)) == 2:
        for kind, wanted in (("has_ans", True), ("no_ans", False)):
            for name in ("exact_match", "f1"):
                pairs = zip(found[name], answerable, strict=True)
                found[f"{kind}_{name}"] = [value if there is wanted else None for value, there in pairs]
    if all(read_number(gold) is not None for item in completions for gold in item.outcome["reference"]):
        found["numeric_match"] = _by_reward("numeric_match", completions)
    return found


def _by_reward(name: str, completions: Sequence[Completion]) -> Values:
    """What a reward gives for each answer; None where it does not apply."""
    outcomes = [item.outcome for item in completions]
    reward: Any = get(name)
    return list(
        reward(
            prompts=[item.prompt for item in completions],
            completions=[item.completion for item in completions],
            extracted=[outcome["answer"] for outcome in outcomes],
            reference=[outcome["reference"] for outcome in outcomes],
            choices=[outcome["choices"] for outcome in outcomes],
        )
    )


def _macro_f1(outcomes: Sequence[dict[str, Any]]) -> CorpusMetric:
    """The mean F1 of the labels that are gold or predicted somewhere; an answer that names none predicts none."""
    labels = list(outcomes[0]["choices"])
    gold, predicted = np.zeros((2, len(outcomes), len(labels)))
    for row, outcome in enumerate(outcomes):
        named = choice_named(outcome["answer"], labels)
        if named is not None:
            predicted[row, labels.index(named)] = 1
        right = named if named in outcome["reference"] else outcome["reference"][0]
        gold[row, labels.index(right)] = 1
    return CorpusMetric(np.concatenate([gold * predicted, gold + predicted], axis=1), _mean_f1)


def _mean_f1(sums: Array) -> Array:
    """The mean over labels of ``2 * right / (gold + predicted)``, of sums ``(..., 2 * n_labels)``."""
    right, total = np.split(sums, 2, axis=-1)
    f1 = np.divide(2 * right, total, out=np.zeros_like(total), where=total > 0)
    return f1.sum(axis=-1) / (total > 0).sum(axis=-1)
