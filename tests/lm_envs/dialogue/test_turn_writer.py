"""Turns are what the plain model would write, and each token of a conversation is computed once."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch as th

from lm_envs import load_language_model
from lm_envs.dialogue.turn_writer import TurnWriter
from lm_envs.errors import ConfigurationError
from lm_envs.vocabulary import load_vocabulary

STOPS = (1, 7, 20, 33)
LONGEST = 6


class Conversations:
    """Conversations that grow in turns, some of them at a time; one in eight turns begins a new one."""

    def __init__(self, writer, seed=0):
        self.writer = writer
        self.rng = np.random.default_rng(seed)
        self.rngs = [np.random.default_rng([seed, row]) for row in range(writer.num_rows)]
        self.tokens = [self.words(5) for _ in self.rngs]
        self.unread = [len(ids) for ids in self.tokens]
        self.n_expected = 0

    def words(self, n):
        return self.rng.integers(2, 64, self.rng.integers(1, n + 1)).tolist()

    def turn(self, rows, temperature=0.0, top_p=1.0):
        contexts = [list(self.tokens[row]) for row in rows]
        written = self.writer.write(
            rows, contexts, [self.rngs[row] for row in rows], LONGEST, STOPS, temperature, top_p
        )
        for row, turn in zip(rows, written, strict=True):
            last_is_unread = len(turn) == LONGEST
            self.n_expected += self.unread[row] + len(turn) - last_is_unread
            told = self.words(8)
            self.unread[row] = last_is_unread + len(told)
            self.tokens[row] += [*turn.tolist(), *told]
        return contexts, [turn.tolist() for turn in written]

    def some_rows(self):
        return self.rng.permutation(len(self.rngs))[: self.rng.integers(1, len(self.rngs) + 1)].tolist()


def writer_of(folder, num_rows=5, capacity=200):
    return TurnWriter(load_vocabulary(folder), num_rows, capacity)


def plain_turn(folder, context):
    """The most probable turn by transformers' own forward pass without a cache."""
    model, ids = load_language_model(folder), list(context)
    for _ in range(LONGEST):
        token = int(model(input_ids=th.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token in STOPS:
            break
        ids.append(token)
    return ids[len(context) :]


def test_turns_are_those_of_the_plain_model_whatever_rows_write(random_lm_folder, family):
    folder = random_lm_folder(family)
    talks = Conversations(writer_of(folder))
    lengths = set()
    for _ in range(8):
        for context, turn in zip(*talks.turn(talks.some_rows()), strict=True):
            assert turn == plain_turn(folder, context)
            lengths.add(len(turn))
    assert len(lengths) > 1


def test_each_token_is_computed_once_over_ragged_turns(lm_folder):
    talks = Conversations(writer_of(lm_folder), seed=1)
    for _ in range(10):
        talks.turn(talks.some_rows(), temperature=1.0)
        assert talks.writer.cache.computed_tokens == talks.n_expected
    assert talks.n_expected > 200


def test_a_new_conversation_in_a_row_is_read_anew(lm_folder):
    talks = Conversations(writer_of(lm_folder), seed=2)
    talks.turn([0, 1, 2, 3, 4])
    talks.tokens[3] = [5, 6, 7]
    contexts, turns = talks.turn([1, 3])
    assert turns == [plain_turn(lm_folder, context) for context in contexts]


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_what_a_row_writes_depends_on_its_own_seed_only(lm_folder, top_p):
    together, apart = (Conversations(writer_of(lm_folder), seed=3) for _ in range(2))
    apart.rngs[1].random()  # another seed in one row
    turns = [turn for _ in range(3) for turn in together.turn([0, 1, 2, 3, 4], 1.0, top_p)[1]]
    alone = [turn for _ in range(3) for row in range(5) for turn in apart.turn([row], 1.0, top_p)[1]]
    for i, (turn, other) in enumerate(zip(turns[:5], alone[:5], strict=True)):
        assert (turn == other) == (i != 1)


def test_temperature_makes_turns_differ(lm_folder):
    writer = writer_of(lm_folder, num_rows=6)
    rngs = [np.random.default_rng(i) for i in range(6)]
    turns = writer.write(range(6), [[5, 9]] * 6, rngs, LONGEST, STOPS, 1.0)
    assert len({tuple(turn.tolist()) for turn in turns}) > 3


def test_copies_and_pickles_leave_weights_out_and_write_the_same(lm_folder):
    talks = Conversations(writer_of(lm_folder), seed=4)
    talks.turn([0, 1, 2, 3, 4], 1.0)
    assert len(pickle.dumps(talks.writer)) < 2000
    others = copy.deepcopy(talks), pickle.loads(pickle.dumps(talks))
    expected = talks.turn([0, 2, 4], 1.0)
    for other in others:
        assert other.turn([0, 2, 4], 1.0) == expected
        assert next(other.writer.lm.parameters()).data_ptr() == next(talks.writer.lm.parameters()).data_ptr()


def test_weights_that_are_loaded_again_can_be_trained(random_lm_folder):
    writer = pickle.loads(pickle.dumps(writer_of(random_lm_folder("llama", seed=5))))
    writer.write([0], [[5]], [np.random.default_rng(0)], 1, STOPS)
    assert not any(parameter.is_inference() for parameter in writer.lm.parameters())


def test_nothing_to_write(lm_folder):
    writer = writer_of(lm_folder)
    assert writer.write([], [], [], LONGEST, STOPS) == []
    everything = range(64)
    assert [turn.size for turn in writer.write([2], [[5]], [np.random.default_rng(0)], LONGEST, everything)] == [0]


@pytest.mark.parametrize("length", [0, 195])
def test_a_conversation_without_room_for_a_turn_is_refused(lm_folder, length):
    with pytest.raises(ConfigurationError, match="conversations of 1 to 194 tokens"):
        writer_of(lm_folder).write([0], [[5] * length], [np.random.default_rng(0)], LONGEST, STOPS)


def test_a_conversation_longer_than_the_model_is_refused(lm_folder):
    with pytest.raises(ConfigurationError, match="longer than the 256 positions"):
        writer_of(lm_folder, capacity=257)
