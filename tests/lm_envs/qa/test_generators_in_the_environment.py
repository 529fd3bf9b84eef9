"""Mixtures, seeds and curricula of generators, single and side by side, before and after pickling."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence as equal

from lm_envs.qa.env import QAEnv
from lm_envs.qa.vector_env import QAVectorEnv

pytest.importorskip("reasoning_gym")

MIXTURE = {
    "dataset": {"chain_sum": 3, "spell_backward": 1},
    "dataset_kwargs": {"config": {"chain_sum": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}}},
    "max_new_tokens": 64,
}
CURRICULUM = {
    "dataset": "reasoning_gym:chain_sum",
    "dataset_kwargs": {"curriculum": {"window": 6, "raise_at": 1.0, "lower_at": 0.0}},
    "max_new_tokens": 32,
}


def asked(envs: QAVectorEnv, n: int) -> list[Any]:
    """Questions that a vector environment asks."""
    episodes: Any = envs._episodes
    found: list[Any] = []
    while len(found) < n:
        envs.reset()
        found += [episodes._question(row) for row in range(envs.num_envs)]
    return found


def test_a_mixture_asks_by_weight_and_difficulty() -> None:
    envs = QAVectorEnv(50, **MIXTURE)
    envs.reset(seed=0)
    found = asked(envs, 800)
    counts = Counter(question.columns["generator"] for question in found)
    assert 0.69 < counts["chain_sum"] / 800 < 0.81 and set(counts) == {"chain_sum", "spell_backward"}
    numbers = [
        word for q in found if q.columns["generator"] == "chain_sum" for word in q.prompt.split() if word.isdecimal()
    ]
    assert max(map(len, numbers)) == 1 and len(numbers) == 2 * counts["chain_sum"]


@pytest.mark.parametrize("kwargs", [MIXTURE, CURRICULUM], ids=["mixture", "curriculum"])
def test_questions_follow_the_environments_seed(kwargs: dict[str, Any]) -> None:
    single, envs = QAEnv(**kwargs), QAVectorEnv(3, **kwargs)
    rows = envs.reset(seed=7)[0]["input_ids"]
    for row in range(3):
        assert equal(single.reset(seed=7 + row)[0]["input_ids"], rows[row])
    assert equal(envs.reset(seed=7)[0]["input_ids"], rows) and not equal(envs.reset(seed=8)[0]["input_ids"], rows)
    test = QAVectorEnv(3, split="test", **kwargs)
    assert not equal(test.reset(seed=7)[0]["input_ids"], rows)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("kwargs", [MIXTURE, CURRICULUM], ids=["mixture", "curriculum"])
def test_copies_go_on_alike_from_the_middle(kwargs: dict[str, Any], clone: Any) -> None:
    envs = QAVectorEnv(4, **kwargs)
    envs.reset(seed=0)
    for _ in range(5):
        envs.step([20, 21, 22, 23])
    twin = clone(envs)
    rng = np.random.default_rng(0)
    for _ in range(100):
        actions = np.where(rng.random(4) < 0.1, envs.vocabulary.eos_ids[0], rng.integers(0, 2000, 4))
        mine, other = envs.step(actions), twin.step(actions)
        assert equal(mine[:4], other[:4], exact=True)
        if "final_info" in mine[4]:
            for name in ("reference", "answer", "score"):
                assert mine[4]["final_info"][name].tolist() == other[4]["final_info"][name].tolist()


def answer(envs: QAVectorEnv, rightly: bool) -> None:
    """Answer in all rows; those with longer answers wait with the end of theirs until all have written."""
    episodes: Any = envs._episodes
    eos = envs.vocabulary.eos_ids[0]
    texts = [f" {episodes._question(row).answers[0] if rightly else 'no'}" for row in range(envs.num_envs)]
    ids = envs.vocabulary.tokenizer(texts, add_special_tokens=False)["input_ids"]
    space = envs.vocabulary.tokenizer(" ", add_special_tokens=False)["input_ids"]
    longest = max(map(len, ids))
    written = np.array([[*(space * (longest - len(row))), *row, eos] for row in ids])  # white space does not count
    for column in written.T:
        *_, terminated, _, infos = envs.step(column)
    assert terminated.all() and (infos["final_info"]["is_success"] == rightly).all()


def test_a_curriculum_follows_the_success_of_all_rows_and_counts_each_level_for_itself() -> None:
    envs = QAVectorEnv(4, **CURRICULUM)
    questions: Any = envs._episodes.questions  # type: ignore[attr-defined]
    envs.reset(seed=0)
    seen = [questions.level]
    for rightly in (True, True, True, True, True, False, False, False):
        answer(envs, rightly)
        seen.append(questions.level)
    # six answers raise: two rounds of four, of which the two that come after the sixth are of the level before
    assert seen == [0, 0, 1, 1, 2, 2, 2, 1, 1]
    levels = [question.columns["level"] for question in asked(envs, 8)]
    assert set(levels) == {1}
    twin = pickle.loads(pickle.dumps(envs))
    assert twin._episodes.questions.level == 1
    answer(envs, False)
    answer(twin, False)
    assert questions.level == twin._episodes.questions.level == 0
