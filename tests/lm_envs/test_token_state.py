"""The arrays under the environments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_envs.token_state import TokenState


def started(lengths: list[int], max_prompt: int = 4, max_new: int = 3, pad_id: int = 9) -> TokenState:
    state = TokenState(len(lengths), max_prompt + max_new, pad_id)
    prompts = np.arange(1, 1 + len(lengths) * max_prompt).reshape(len(lengths), max_prompt)
    state.start(np.arange(len(lengths)), prompts, np.array(lengths))
    return state


def test_right_padded_and_typed() -> None:
    state = started([2, 4])
    observation = state.observation()
    np.testing.assert_array_equal(observation["input_ids"], [[1, 2, 9, 9, 9, 9, 9], [5, 6, 7, 8, 9, 9, 9]])
    np.testing.assert_array_equal(observation["attention_mask"], [[1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0]])
    assert observation["input_ids"].dtype == np.int32 and observation["attention_mask"].dtype == np.int8


def test_restart_clears_the_row_and_leaves_others() -> None:
    state = started([2, 4])
    state.append(np.array([3, 3]))
    state.start(np.array([1]), np.array([[7, 0, 0, 0]]), np.array([1]))
    np.testing.assert_array_equal(state.input_ids, [[1, 2, 3, 9, 9, 9, 9], [7, 9, 9, 9, 9, 9, 9]])
    np.testing.assert_array_equal(state.new_lengths, [1, 0])


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    steps=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_each_observation_extends_the_one_before(lengths: list[int], steps: int, seed: int) -> None:
    state = started(lengths)
    actions = np.random.default_rng(seed).integers(0, 50, (steps, len(lengths)))
    for step, action in enumerate(actions):
        before = state.observation()
        state.append(action)
        after = state.observation()
        kept = before["attention_mask"] == 1
        np.testing.assert_array_equal(after["input_ids"][kept], before["input_ids"][kept])
        np.testing.assert_array_equal(after["attention_mask"].sum(1), np.array(lengths) + step + 1)
    for row, length in enumerate(lengths):
        assert state.prompt_ids(row).tolist() == before["input_ids"][row, :length].tolist()
        assert state.completion_ids(row).tolist() == actions[:, row].tolist()


@pytest.mark.parametrize("name", ["observation", "row_observation"])
def test_observations_are_copies(name: str) -> None:
    state = started([2])
    observation = state.observation() if name == "observation" else state.row_observation(0)
    for values in observation.values():
        values[...] = 5
    np.testing.assert_array_equal(state.input_ids, [[1, 2, 9, 9, 9, 9, 9]])
