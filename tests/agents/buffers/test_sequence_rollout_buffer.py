"""The sequence buffer holds what SB3's own buffer holds, each token once."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer

from agents import SequenceRolloutBuffer
from agents.networks.sequences import (
    MIN_BUCKET_TOKENS,
    PackedSequences,
    SequenceStore,
    _length_buckets,
    pack_observations,
)
from lm_envs.errors import ConfigurationError

N_STEPS, N_ENVS, MAX_TOKENS = 20, 5, 24
SPACE = spaces.Dict(
    input_ids=spaces.Box(0, 63, (MAX_TOKENS,), np.int32), attention_mask=spaces.Box(0, 1, (MAX_TOKENS,), np.int8)
)


def fill(buffers, stream):
    rng = np.random.default_rng(1)
    for _ in range(N_STEPS):
        obs, starts = stream.obs(), stream.starts.copy()
        actions, rewards = rng.integers(2, 64, N_ENVS), rng.normal(size=N_ENVS)
        values, log_probs = th.as_tensor(rng.normal(size=N_ENVS)), th.as_tensor(rng.normal(size=N_ENVS))
        for buffer in buffers:
            buffer.add(obs, actions.reshape(-1, 1), rewards, starts, values, log_probs)
        stream.append(actions)
    last_values = th.as_tensor(rng.normal(size=N_ENVS))
    for buffer in buffers:
        buffer.compute_returns_and_advantage(last_values, stream.starts.astype(np.float32))


@pytest.fixture
def buffers(token_stream):
    made = [
        cls(N_STEPS, SPACE, spaces.Discrete(64), device="cpu", n_envs=N_ENVS, gamma=0.9, gae_lambda=0.8)
        for cls in (SequenceRolloutBuffer, DictRolloutBuffer)
    ]
    fill(made, token_stream(N_ENVS))
    return made


def transitions(sample):
    """Each transition as (prefix, action, old value, old log-prob, advantage, return), sorted."""
    obs = sample.observations
    if isinstance(obs, PackedSequences):
        prefixes = [obs.input_ids[r, : p + 1].tolist() for r, p in zip(obs.rows, obs.positions, strict=True)]
    else:
        lengths = obs["attention_mask"].sum(dim=1).long()
        prefixes = [ids[:n].long().tolist() for ids, n in zip(obs["input_ids"], lengths, strict=True)]
    columns = th.stack([sample.actions.flatten(), *(column.flatten() for column in sample[2:])], dim=1)
    return sorted((prefix, [round(float(x), 4) for x in row]) for prefix, row in zip(prefixes, columns, strict=True))


def test_the_same_transitions_as_in_sb3s_buffer(buffers):
    ours, sb3s = ([t for sample in buffer.get(None) for t in transitions(sample)] for buffer in buffers)
    assert len(ours) == N_STEPS * N_ENVS
    assert ours == sb3s


def test_minibatches_hold_every_transition_once_and_whole_sequences(buffers):
    buffer, _ = buffers
    everything = [t for sample in buffer.get(None) for t in transitions(sample)]
    for _ in range(3):
        samples = list(buffer.get(25))
        assert len(samples) == 4
        assert sorted(t for sample in samples for t in transitions(sample)) == everything
    rows = [sample.observations.input_ids.shape[0] for sample in samples]
    assert sum(rows) == buffer.store.n_rows


def test_epochs_differ_in_order_and_repeat_with_the_seed(buffers):
    def first_prefix():
        return next(buffers[0].get(25)).observations.input_ids.tolist()

    np.random.seed(0)
    one, two = first_prefix(), first_prefix()
    np.random.seed(0)
    assert first_prefix() == one != two


def test_tokens_are_stored_once(buffers):
    ours, sb3s = buffers
    stored = ours.store.lengths[: ours.store.n_rows].sum()
    assert stored < 0.3 * sb3s.observations["attention_mask"].sum()


def test_a_sequence_that_does_not_extend_the_one_before_is_a_new_one():
    store = SequenceStore(3, 1, 6)
    mask = np.array([[1, 1, 1, 0, 0, 0]], np.int8)
    store.add(0, np.array([[5, 6, 7, 0, 0, 0]], np.int32), mask, np.array([True]))
    store.add(1, np.array([[6, 7, 8, 0, 0, 0]], np.int32), mask, np.array([False]))
    assert store.n_rows == 2 and store.row_of.ravel()[:2].tolist() == [0, 1]


def test_a_sequence_that_got_shorter_is_a_new_one_though_padding_looks_like_its_tokens():
    """Somebody who says the same again and again, and an agent that writes the token that pads."""
    store = SequenceStore(2, 1, 6)
    for step, n_tokens in enumerate((4, 3)):
        mask = (np.arange(6) < n_tokens).astype(np.int8)[None]
        store.add(step, np.array([[5, 6, 5, 0, 0, 0]], np.int32), mask, np.array([step == 0]))
    assert store.n_rows == 2 and store.lengths[:2].tolist() == [4, 3] and store.position_of.ravel().tolist() == [3, 2]


def test_a_second_rollout_starts_empty(buffers, token_stream):
    buffer, _ = buffers
    buffer.reset()
    with pytest.raises(RuntimeError, match="0 of 20 steps"):
        next(buffer.get(5))
    fill([buffer], token_stream(N_ENVS, seed=9))
    assert sum(len(sample.observations) for sample in buffer.get(25)) == N_STEPS * N_ENVS


def test_more_episodes_than_expected_fit(token_stream):
    buffer = SequenceRolloutBuffer(N_STEPS, SPACE, spaces.Discrete(64), n_envs=N_ENVS)
    stream = token_stream(N_ENVS)
    for _ in range(N_STEPS):
        for i in range(N_ENVS):
            stream.restart(i)
        zeros = np.zeros(N_ENVS)
        buffer.add(stream.obs(), zeros, zeros, stream.starts, th.zeros(N_ENVS), th.zeros(N_ENVS))
    assert buffer.store.n_rows == N_STEPS * N_ENVS


@pytest.mark.parametrize(
    "space", [spaces.Box(0, 1, (4,)), spaces.Discrete(3), spaces.Dict(input_ids=spaces.Box(0, 1, (4,)))]
)
def test_another_observation_space_is_refused(space):
    with pytest.raises(ConfigurationError, match="expected the observation space of a token environment"):
        SequenceRolloutBuffer(4, space, spaces.Discrete(64))


def test_buckets_cut_where_padding_is_saved_and_cover_all_rows():
    lengths = np.array([400, 390, 380, 60, 50, 50, 40, 40])
    buckets = _length_buckets(lengths)
    assert buckets[0] == (0, 3) and buckets[-1][1] == 8
    assert [stop for _, stop in buckets[:-1]] == [start for start, _ in buckets[1:]]
    assert _length_buckets(np.full(8, 100)) == [(0, 8)]
    assert _length_buckets(np.array([MIN_BUCKET_TOKENS // 8, 1, 1])) == [(0, 3)]
    assert _length_buckets(np.array([7])) == [(0, 1)] and _length_buckets(np.array([], dtype=int)) == []


def test_bucketed_hidden_states_are_those_of_the_padded_pass():
    lengths = np.array([400, 390, 60, 50, 10])
    embed = th.randn(64, 8)
    rows = th.tensor([0, 0, 1, 2, 2, 3, 4])
    positions = th.tensor([3, 399, 0, 59, 1, 49, 9])
    packed = PackedSequences(th.randint(0, 64, (5, 400)), lengths, rows, positions)
    shapes = []

    def model(ids):
        shapes.append(tuple(ids.shape))
        return embed[ids].cumsum(dim=1)

    expected = embed[packed.input_ids].cumsum(dim=1)[rows, positions]
    assert th.allclose(packed.transition_hidden(model), expected, atol=1e-5)
    assert len(shapes) > 1


def test_plain_observations_are_sorted_and_brought_back(token_stream):
    obs = token_stream(6).tensors()
    packed, order = pack_observations(obs)
    assert (np.diff(packed.lengths) <= 0).all()
    restored = packed.input_ids[packed.rows[order]]
    assert (restored == obs["input_ids"]).all()
    assert (packed.positions[order] == obs["attention_mask"].sum(dim=1) - 1).all()
