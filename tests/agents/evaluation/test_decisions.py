from __future__ import annotations

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from agents import LMActorCriticPolicy
from agents.evaluation.decisions import DecisionLog
from agents.evaluation.generation import Completion, log_probs

MAX_TOKENS = 12
SPACE = spaces.Dict(
    {
        "input_ids": spaces.Box(0, 63, (MAX_TOKENS,), np.int32),
        "attention_mask": spaces.Box(0, 1, (MAX_TOKENS,), np.int8),
    }
)
# what two environments observe: the second drops its oldest tokens twice, the first never
OBSERVED = [
    ([5, 6], [7, 8, 9]),
    ([5, 6, 10], [7, 8, 9, 10, 11]),
    ([5, 6, 10, 11], [9, 10, 11, 12, 13, 14]),
    ([5, 6, 10, 11, 12, 13], [9, 10, 11, 12, 13, 14, 15]),
    ([5, 6, 10, 11, 12, 13, 14], [9, 10]),
]
ACTIONS = np.array([[10, 10], [11, 12], [12, 15], [14, 16], [1, 1]])


def _observation(rows: tuple[list[int], ...]) -> dict[str, np.ndarray]:
    ids = np.zeros((len(rows), MAX_TOKENS), np.int32)
    mask = np.zeros((len(rows), MAX_TOKENS), np.int8)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    return {"input_ids": ids, "attention_mask": mask}


@pytest.fixture
def log() -> DecisionLog:
    found = DecisionLog(SPACE)
    for rows, actions in zip(OBSERVED, ACTIONS, strict=True):
        found.add(_observation(rows), actions)
    return found


def test_dropped_tokens_begin_a_new_sequence(log: DecisionLog) -> None:
    first, second = log.of(0), log.of(1)
    assert [sequence.tolist() for sequence in first.sequences] == [OBSERVED[-1][0]]
    expected = [OBSERVED[1][1], OBSERVED[3][1], OBSERVED[4][1]]
    assert [sequence.tolist() for sequence in second.sequences] == expected
    assert second.rows.tolist() == [0, 0, 1, 1, 2] and second.positions.tolist() == [2, 4, 5, 6, 1]
    assert second.n_tokens == sum(len(tokens) for tokens in expected)
    for item, row in ((first, 0), (second, 1)):
        for number, position, rows in zip(item.rows, item.positions, OBSERVED, strict=True):
            assert item.sequences[number][: position + 1].tolist() == rows[row]


@pytest.mark.parametrize("scoring_tokens", [16, 1_000])
def test_scores_are_those_of_each_observation_alone(
    log: DecisionLog, lm_folder: str, monkeypatch: pytest.MonkeyPatch, scoring_tokens: int
) -> None:
    monkeypatch.setattr("agents.evaluation.generation.SCORING_TOKENS", scoring_tokens)
    policy = LMActorCriticPolicy(SPACE, spaces.Discrete(64), lambda _: 0.0, model=lm_folder)
    episodes = [Completion("", "", {}, "", 5, 0, decisions=log.of(row)) for row in (0, 1)]
    found = log_probs(policy, episodes)
    for rows, actions, step in zip(OBSERVED, ACTIONS, range(5), strict=True):
        tensors = {key: th.as_tensor(value) for key, value in _observation(rows).items()}
        with th.no_grad():
            expected = policy.evaluate_actions(tensors, th.as_tensor(actions))[1].numpy()
        np.testing.assert_allclose([item[step] for item in found], expected, rtol=1e-4, atol=1e-5)
