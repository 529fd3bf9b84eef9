"""What the replay buffer gives back equals what SB3's own would, transition by transition."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import SequenceReplayBuffer
from agents.buffers.action_mask_table import ActionMaskTable
from lm_envs.errors import CheckpointError, ConfigurationError

MAX_TOKENS = 10
VOCAB_SIZE = 50
N_CANDIDATES = 3


def token_space(max_tokens=MAX_TOKENS, **more):
    return spaces.Dict(
        input_ids=spaces.Box(0, VOCAB_SIZE - 1, (max_tokens,), np.int32),
        attention_mask=spaces.Box(0, 1, (max_tokens,), np.int8),
        **more,
    )


WIDE_SPACE = token_space(
    action_mask=spaces.Box(0, 1, (4,), np.int8),
    candidate_ids=spaces.Box(0, VOCAB_SIZE - 1, (N_CANDIDATES,), np.int32),
    candidate_log_probs=spaces.Box(-np.inf, 0, (N_CANDIDATES,), np.float32),
)


class Episodes:
    """Random ragged episodes in several rows, with every transition written down as SB3 would store it."""

    def __init__(self, n_envs, seed, wide=False, breaks=0.0, truncates=0.3):
        self.rng = np.random.default_rng(seed)
        self.n_envs, self.wide, self.breaks, self.truncates = n_envs, wide, breaks, truncates
        self.counter = 0
        self.obs = [self.fresh() for _ in range(n_envs)]
        self.chains = [[] for _ in range(n_envs)]  # transitions of the segment under way, then of all segments
        self.segments = []

    def observation(self, tokens):
        obs = {"input_ids": np.zeros(MAX_TOKENS, np.int32), "attention_mask": np.zeros(MAX_TOKENS, np.int8)}
        obs["input_ids"][: len(tokens)] = tokens
        obs["attention_mask"][: len(tokens)] = 1
        if self.wide:
            obs["action_mask"] = self.rng.integers(0, 2, 4).astype(np.int8)
            obs["candidate_ids"] = self.rng.integers(0, VOCAB_SIZE, N_CANDIDATES).astype(np.int32)
            obs["candidate_log_probs"] = -self.rng.random(N_CANDIDATES).astype(np.float32)
        return obs

    def fresh(self, length=None):
        return self.observation(self.rng.integers(1, VOCAB_SIZE, length or self.rng.integers(1, 5)))

    def step(self, buffer):
        after, dones, infos = [], np.zeros(self.n_envs), []
        actions = self.rng.integers(0, 4, self.n_envs)
        self.counter += 1
        rewards = self.counter + np.arange(self.n_envs) / 100  # a reward tells the transition
        for i, obs in enumerate(self.obs):
            length = int(obs["attention_mask"].sum())
            room = MAX_TOKENS - length
            if self.rng.random() < self.breaks or room == 0:
                following = self.fresh()
            else:
                new = self.rng.integers(1, VOCAB_SIZE, min(room, self.rng.choice([1, 1, 1, 2])))
                following = self.observation([*obs["input_ids"][:length], *new])
            dones[i] = self.rng.random() < 0.2 or int(following["attention_mask"].sum()) == MAX_TOKENS
            infos.append({"TimeLimit.truncated": True} if dones[i] and self.rng.random() < self.truncates else {})
            after.append(following)
        buffer.add(stack(self.obs), stack(after), actions, rewards, dones, infos)
        for i in range(self.n_envs):
            terminated = bool(dones[i]) and not infos[i]
            extends = self.extends(self.obs[i], after[i])
            self.chains[i].append((self.obs[i], after[i], actions[i], np.float32(rewards[i]), terminated))
            if dones[i] or not extends:
                self.segments.append(self.chains[i])
                self.chains[i] = []
            self.obs[i] = self.fresh() if dones[i] else after[i]

    @staticmethod
    def extends(obs, following):
        length = int(obs["attention_mask"].sum())
        grows = int(following["attention_mask"].sum()) > length
        return grows and (obs["input_ids"][:length] == following["input_ids"][:length]).all()

    def transitions(self, n_steps=1, gamma=1.0):
        """By reward: observation, n-step successor, action, n-step return, done, discount."""
        found = {}
        for chain in [*self.segments, *self.chains]:
            for t, (obs, _, action, reward, _) in enumerate(chain):
                part = chain[t : t + n_steps]
                total = sum(gamma**i * item[3] for i, item in enumerate(part))
                found[round(float(reward), 2)] = (obs, part[-1][1], action, total, part[-1][4], gamma ** len(part))
        return found


def stack(rows):
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def plain(packed, i):
    """The observation of a packed transition as the environment gave it."""
    row, length = int(packed.rows[i]), int(packed.positions[i]) + 1
    return packed.input_ids[row, :length].numpy()


def assert_sample_is_right(sample, expected, keys):
    discounts = np.ones(len(keys)) if sample.discounts is None else sample.discounts.flatten().numpy()
    for i, key in enumerate(keys):
        obs, following, action, total, terminated, discount = expected[key]
        for packed, wanted in ((sample.observations, obs), (sample.next_observations, following)):
            if packed is sample.next_observations and terminated and not Episodes.extends(obs, following):
                continue  # nothing is bootstrapped from it
            assert plain(packed, i).tolist() == wanted["input_ids"][: int(wanted["attention_mask"].sum())].tolist()
            for name, column in packed.columns.items():
                if name == "action_mask" and packed is sample.next_observations and terminated:
                    assert column[i].all()
                elif packed is sample.observations or not terminated:
                    assert np.allclose(column[i].numpy(), wanted[name]), name
        assert int(sample.actions[i]) == action
        assert float(sample.dones[i]) == float(terminated)
        assert float(sample.rewards[i]) == pytest.approx(total, rel=1e-5)
        assert discounts[i] == pytest.approx(discount, rel=1e-5)


def identify(sample, expected):
    """Which transition each one of a sample is, known by its tokens, action and return."""
    by_content = {}
    for key, (obs, _, action, total, *_) in expected.items():
        tokens = obs["input_ids"][: int(obs["attention_mask"].sum())]
        by_content.setdefault((tokens.tobytes(), int(action)), []).append((float(total), key))
    keys = []
    for i, total in enumerate(sample.rewards.flatten().tolist()):
        alike = by_content[plain(sample.observations, i).tobytes(), int(sample.actions[i])]
        keys.append(min(alike, key=lambda item: abs(item[0] - total))[1])
    return keys


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_envs=st.integers(1, 4),
    n_added=st.integers(1, 60),
    capacity=st.integers(2 * MAX_TOKENS, 150),
    n_steps=st.integers(1, 4),
    breaks=st.sampled_from([0.0, 0.2]),
    wide=st.booleans(),
    batch_size=st.integers(1, 40),
)
def test_samples_are_what_was_added(seed, n_envs, n_added, capacity, n_steps, breaks, wide, batch_size):
    space = WIDE_SPACE if wide else token_space()
    buffer = SequenceReplayBuffer(capacity, space, spaces.Discrete(4), "cpu", n_envs, n_steps=n_steps, gamma=0.9)
    episodes = Episodes(n_envs, seed, wide, breaks)
    for _ in range(n_added):
        episodes.step(buffer)
    expected = episodes.transitions(n_steps, 0.9 if n_steps > 1 else 1.0)
    np.random.seed(seed)
    sample = buffer.sample(batch_size)
    assert len(sample.observations) == len(sample.next_observations) == len(sample.rewards) == batch_size
    assert (np.diff(sample.observations.lengths) <= 0).all()
    keys = identify(sample, expected)
    assert_sample_is_right(sample, expected, keys)
    assert buffer.size() <= len(expected)
    assert buffer.full == (buffer.size() < len(expected))


@pytest.fixture
def filled():
    buffer = SequenceReplayBuffer(400, token_space(), spaces.Discrete(4), "cpu", n_envs=3)
    episodes = Episodes(3, seed=1, truncates=0.0)
    for _ in range(30):
        episodes.step(buffer)
    return buffer, episodes


def test_every_transition_is_drawn_equally_often(filled):
    buffer, episodes = filled
    np.random.seed(0)
    expected, counts = episodes.transitions(), {}
    for _ in range(400):
        for key in identify(sample := buffer.sample(45), expected):
            counts[key] = counts.get(key, 0) + 1
        assert len(sample.rewards) == 45
    share = np.array(list(counts.values())) / (400 * 45 / len(expected))
    assert len(counts) == len(expected) == 90
    assert 0.7 < share.min() and share.max() < 1.3


def test_running_episodes_are_sampled_and_bootstrapped():
    buffer = SequenceReplayBuffer(100, token_space(), spaces.Discrete(4), "cpu")
    ids = np.array([[7, 8, 9, 0, 0, 0, 0, 0, 0, 0]], np.int32)
    for length in (1, 2):
        mask = (np.arange(MAX_TOKENS) < length).astype(np.int8)[None]
        after = (np.arange(MAX_TOKENS) < length + 1).astype(np.int8)[None]
        obs, following = ({"input_ids": ids * m, "attention_mask": m} for m in (mask, after))
        buffer.add(obs, following, np.array([length]), np.array([1.0]), np.array([0.0]), [{}])
    sample = buffer.sample(2)
    assert buffer.size() == 2 and not sample.dones.any()
    assert sample.observations.positions.tolist() == [0, 1]
    assert sample.next_observations.positions.tolist() == [1, 2]
    assert sample.observations.input_ids[0].tolist() == [7, 8, 9]


def test_an_environment_that_is_reset_in_the_middle_of_an_episode_begins_a_new_one(filled):
    buffer, episodes = filled
    size = buffer.size()
    episodes.segments += [chain for chain in episodes.chains if chain]
    episodes.chains = [[] for _ in range(3)]
    episodes.obs = [episodes.fresh(3) for _ in range(3)]
    episodes.step(buffer)
    assert buffer.size() == size + 3
    sample = buffer.sample(buffer.size())
    assert_sample_is_right(sample, episodes.transitions(), identify(sample, episodes.transitions()))


def test_memory_is_proportional_to_the_tokens():
    buffer = SequenceReplayBuffer(10_000, token_space(), spaces.Discrete(4), "cpu", n_envs=2)
    assert buffer.nbytes < 10_000 * 14 + 60_000  # token 4, action 4, reward 4, flag 1; and a table
    wide = SequenceReplayBuffer(10_000, token_space(256), spaces.Discrete(4), "cpu", n_envs=2)
    assert wide.nbytes < 1.2 * buffer.nbytes


def test_a_saved_buffer_goes_on_where_it_was(filled, tmp_path):
    buffer, episodes = filled
    path = tmp_path / "buffer.pkl"
    path.write_bytes(pickle.dumps(buffer))
    assert path.stat().st_size < buffer.nbytes
    twin = pickle.loads(path.read_bytes())
    assert twin.size() == buffer.size()
    for _ in range(60):  # wraps around
        episodes.step(twin)
    expected = episodes.transitions()
    sample = twin.sample(40)
    assert twin.full
    assert_sample_is_right(sample, expected, identify(sample, expected))


def test_token_rewards_are_spread_over_the_steps():
    buffer = SequenceReplayBuffer(100, token_space(), spaces.Discrete(4), "cpu", token_rewards=True)
    ids = np.arange(1, MAX_TOKENS + 1, dtype=np.int32)[None]
    for length in (1, 2, 3):
        now, after = ((np.arange(MAX_TOKENS) < n).astype(np.int8)[None] for n in (length, length + 1))
        done = length == 3
        infos = [{"token_rewards": [0.5, 0.0, 1.5]} if done else {}]
        obs, following = ({"input_ids": ids * m, "attention_mask": m} for m in (now, after))
        buffer.add(obs, following, np.array([0]), np.array([3.0 if done else 0.0]), np.array([float(done)]), infos)
    assert buffer.sample(3).rewards.flatten().tolist() == [0.5, 0.0, 2.5]  # 1 of the 3 was no token's


def test_action_masks_are_stored_once_each():
    table = ActionMaskTable(70)
    masks = np.random.default_rng(0).integers(0, 2, (40, 70)).astype(bool)
    numbers = table.numbers(np.concatenate([masks, masks]))
    assert len(table) == 40 and (numbers[:40] == numbers[40:]).all()
    assert (table.masks(numbers[:40]) == masks).all()


def make(buffer_size=100, space=None, action_space=None, **kwargs):
    return SequenceReplayBuffer(buffer_size, space or token_space(), action_space or spaces.Discrete(4), **kwargs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"buffer_size": 19}, "buffer_size=19 is less than one episode, which may take 20 tokens"),
        ({"optimize_memory_usage": True}, "does not take optimize_memory_usage=True"),
        ({"action_space": spaces.Box(0, 1, (2,))}, "expected a Discrete action space"),
        ({"space": spaces.Box(0, 1, (2,))}, "expected the observation space of a token environment"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"n_steps": 3}, "need the discount factor"),
        ({"prioritized": True}, "need the discount factor"),
        ({"prioritized": True, "gamma": 1.0, "alpha": -1}, "alpha and beta must be at least 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        make(**arguments)


def test_an_empty_buffer_says_so():
    with pytest.raises(ConfigurationError, match="the replay buffer is empty"):
        make().sample(4)


def test_observations_of_another_environment_are_refused(filled):
    buffer, _ = filled
    other = token_space(12).sample()
    obs = {key: np.stack([value] * 3) for key, value in other.items()}
    with pytest.raises(CheckpointError, match="episodes of another environment"):
        buffer.add(obs, obs, np.zeros(3), np.zeros(3), np.zeros(3), [{}, {}, {}])


def test_priorities_follow_the_td_errors_and_weigh_the_gradient():
    buffer = make(400, n_envs=3, n_steps=1, gamma=0.5, prioritized=True, alpha=1.0, beta=1.0)
    episodes = Episodes(3, seed=3, truncates=0.0)
    while buffer.ring.n_segments < 6:
        episodes.step(buffer)
    np.random.seed(0)
    sample = buffer.sample(10)
    n = len(sample.actions)
    next_values = th.randn(n, 4)
    values = th.randn(n, 4, requires_grad=True)
    assert sample.next_observations.observer(next_values) is next_values
    seen = sample.observations.observer(values * 1.0)
    seen.sum().backward()
    targets = sample.rewards + 0.5 * (1 - sample.dones) * next_values.max(dim=1, keepdim=True).values
    errors = (targets - values.gather(1, sample.actions)).abs().flatten().detach()
    observer = sample.observations.observer.__self__
    for segment, number in enumerate(observer.numbers):
        if number >= 0 and (observer.numbers == number).sum() == 1:
            of_segment = errors[observer.segment_of == segment]
            n_transitions = int(buffer.ring.finished(np.array([number]))["n_transitions"][0])
            expected = float(of_segment.mean()) * n_transitions + buffer.priorities.epsilon
            assert buffer.ring.finished(np.array([number]))["priority"][0] == pytest.approx(expected, rel=1e-5)
    assert th.allclose(values.grad, observer.weights[:, None].expand(n, 4))
    assert observer.weights.max() == 1


def test_prioritised_sampling_prefers_high_priorities():
    buffer = make(400, n_envs=3, gamma=0.9, prioritized=True, alpha=1.0)
    episodes = Episodes(3, seed=3)
    while buffer.ring.n_segments < 9:
        episodes.step(buffer)
    numbers = np.arange(buffer.ring.n_segments)
    buffer.ring.set_priorities(numbers, np.where(numbers == 4, 1e6, 1.0))
    np.random.seed(0)
    drawn = np.concatenate([buffer._draw(5)[0] for _ in range(50)])
    assert (drawn == 4).mean() > 0.9


def test_token_rewards_behind_a_break_stay_in_the_return():
    buffer = SequenceReplayBuffer(100, token_space(), spaces.Discrete(4), "cpu", token_rewards=True)

    def obs(tokens):
        ids = np.zeros((1, MAX_TOKENS), np.int32)
        ids[0, : len(tokens)] = tokens
        return {"input_ids": ids, "attention_mask": (np.arange(MAX_TOKENS) < len(tokens)).astype(np.int8)[None]}

    path = [[1], [1, 2], [7, 8], [7, 8, 9]]  # tokens were rewritten after the second state
    for step in range(3):
        done = step == 2
        infos = [{"token_rewards": [1.0, 2.0, 3.0]} if done else {}]
        reward = np.array([6.0 if done else 0.0])
        buffer.add(obs(path[step]), obs(path[step + 1]), np.array([0]), reward, np.array([float(done)]), infos)
    assert buffer.sample(3).rewards.sum() == 6
