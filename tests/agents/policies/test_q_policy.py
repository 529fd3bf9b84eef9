"""Packed Q-values and targets equal plain ones; the policy explores, shares, saves and loads."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.common.vec_env import VecNormalize

from agents import LMActorCriticPolicy, LMQPolicy, SequenceReplayBuffer, make_lm_vec_env
from agents.networks.sequences import PackedSequences
from agents.warn_once import warn_once
from lm_envs import load_language_model
from lm_envs.errors import CheckpointError, ConfigurationError, ModelError, UnknownNameError
from lm_envs.wrappers import CandidateActions

VOCAB_SIZE, MAX_TOKENS, K = 64, 24, 5


def token_space(**more):
    return spaces.Dict(
        input_ids=spaces.Box(0, VOCAB_SIZE - 1, (MAX_TOKENS,), np.int32),
        attention_mask=spaces.Box(0, 1, (MAX_TOKENS,), np.int8),
        **more,
    )


def space_of(kind, masked):
    """Observation and action space of an environment whose actions are tokens, candidates or choices."""
    n_actions = {"tokens": VOCAB_SIZE, "candidates": K, "choices": 3}[kind]
    more = {"action_mask": spaces.Box(0, 1, (n_actions,), np.int8)} if masked else {}
    if kind == "candidates":
        more["candidate_ids"] = spaces.Box(0, VOCAB_SIZE - 1, (K,), np.int32)
        more["candidate_log_probs"] = spaces.Box(-np.inf, 0, (K,), np.float32)
    return token_space(**more), spaces.Discrete(n_actions)


def make_policy(folder, kind="tokens", masked=False, **kwargs):
    th.manual_seed(0)
    policy = LMQPolicy(*space_of(kind, masked), lambda _: 1e-3, model=folder, **kwargs)
    with th.no_grad():  # leave the start, where heads are zero and both networks equal
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * th.randn_like(parameter)
    policy.online.lm.mark_changed()
    policy.target.lm.mark_changed()
    return policy


class Stream:
    """Adds what a token stream does to the observation keys of candidates and masks, and fills a buffer."""

    def __init__(self, stream, observation_space, action_space):
        self.stream, self.space, self.n = stream, observation_space, int(action_space.n)
        self.rng = np.random.default_rng(0)
        self.obs = self._observe()

    def _observe(self):
        obs = self.stream.obs()
        n_rows = len(obs["input_ids"])
        if "candidate_ids" in self.space.spaces:
            obs["candidate_ids"] = self.rng.integers(0, VOCAB_SIZE, (n_rows, self.n)).astype(np.int32)
            obs["candidate_log_probs"] = -self.rng.random((n_rows, self.n)).astype(np.float32)
        if "action_mask" in self.space.spaces:
            obs["action_mask"] = self.rng.integers(0, 2, (n_rows, self.n)).astype(np.int8)
            obs["action_mask"][:, 0] = 1
        return obs

    def step(self, buffer):
        """One step; a row that starts anew ends its episode without a stored successor's tokens."""
        before = self.obs
        actions = self.rng.integers(0, self.n, len(before["input_ids"]))
        self.stream.append(self.rng.integers(2, VOCAB_SIZE, len(actions)))
        done = self.stream.starts.copy()
        self.obs = self._observe()
        after = {key: value.copy() for key, value in self.obs.items()}
        for i in np.flatnonzero(done):  # the terminal observation: one token more
            length = int(before["attention_mask"][i].sum())
            after["input_ids"][i] = before["input_ids"][i]
            after["attention_mask"][i] = 0
            after["attention_mask"][i, : min(length + 1, MAX_TOKENS)] = 1
        rewards = self.rng.normal(size=len(actions))
        infos = [{"TimeLimit.truncated": bool(self.rng.random() < 0.3)} for _ in actions]
        buffer.add(before, after, actions, rewards, done.astype(float), infos)


def as_plain(packed: PackedSequences):
    """The observations of a packed batch, each for itself."""
    lengths = packed.positions + 1
    mask = th.arange(packed.input_ids.shape[1]) < lengths[:, None]
    ids = packed.input_ids[packed.rows] * mask
    return {"input_ids": ids, "attention_mask": mask.long(), **packed.columns}


def filled_buffer(policy, token_stream, capacity=120, n_added=40, seed=0, **kwargs):
    buffer = SequenceReplayBuffer(capacity, policy.observation_space, policy.action_space, "cpu", 4, **kwargs)
    stream = Stream(token_stream(4, seed=seed), policy.observation_space, policy.action_space)
    for _ in range(n_added):
        stream.step(buffer)
    return buffer


KINDS = [("tokens", False), ("tokens", True), ("candidates", True), ("choices", False)]
OPTIONS = [
    {"trainable": "heads"},
    {"trainable": "all"},
    {"trainable": "top:1", "dueling": True},
    {"trainable": "top:1", "double_q": True},
    {"trainable": "heads", "double_q": True, "n_quantiles": 3},
]


@pytest.mark.parametrize(("kind", "masked"), KINDS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_packed_values_and_targets_equal_plain_ones(random_lm_folder, token_stream, kind, masked, options):
    policy = make_policy(random_lm_folder("llama"), kind, masked, **options)
    buffer = filled_buffer(policy, token_stream)
    assert buffer.full  # it has wrapped around
    np.random.seed(0)
    sample = buffer.sample(60)
    with th.no_grad():
        following = policy.target(sample.next_observations)
    current = policy.online(sample.observations)
    with th.no_grad():
        assert_close(following, policy.target(as_plain(sample.next_observations)))
        assert_close(current, policy.online(as_plain(sample.observations)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    n_added=st.integers(1, 60),
    capacity=st.integers(2 * MAX_TOKENS, 400),
    batch_size=st.integers(1, 80),
    n_steps=st.integers(1, 4),
)
def test_targets_equal_plain_ones_whatever_was_added(
    lm_folder, token_stream, seed, n_added, capacity, batch_size, n_steps
):
    policy = make_policy(lm_folder, "candidates", masked=True, trainable="top:1", double_q=True)
    buffer = filled_buffer(policy, token_stream, capacity, n_added, seed, n_steps=n_steps, gamma=0.9)
    np.random.seed(seed)
    sample = buffer.sample(batch_size)
    discounts = 0.9 if sample.discounts is None else sample.discounts
    with th.no_grad():
        targets, values = [], []
        for following, current in (
            (sample.next_observations, sample.observations),
            (as_plain(sample.next_observations), as_plain(sample.observations)),
        ):
            best = policy.target(following).max(dim=1, keepdim=True).values
            targets.append(sample.rewards + (1 - sample.dones) * discounts * best)
            values.append(policy.online(current))
    assert th.allclose(*targets, atol=1e-4) and targets[0].isfinite().all()
    assert th.equal(targets[0][sample.dones == 1], sample.rewards[sample.dones == 1])
    assert_close(*values)


def assert_close(got, expected):
    assert got.shape == expected.shape
    assert (got.isinf() == expected.isinf()).all()
    assert th.allclose(got[~got.isinf()], expected[~got.isinf()], atol=1e-4)


def test_packed_values_equal_plain_ones_in_every_family(random_lm_folder, family, token_stream):
    policy = make_policy(random_lm_folder(family), "candidates", trainable="top:1")
    sample = filled_buffer(policy, token_stream).sample(40)
    with th.no_grad():
        assert_close(policy.online(sample.observations), policy.online(as_plain(sample.observations)))


def test_gradients_equal_those_of_single_transitions(lm_folder, token_stream):
    policy = make_policy(lm_folder, "candidates", trainable="top:1", double_q=True)
    sample = filled_buffer(policy, token_stream).sample(30)
    gradients = []
    for obs in (sample.observations, as_plain(sample.observations)):
        with th.no_grad():
            policy.target(sample.next_observations)  # double Q computes the online network's pass here
        policy.optimizer.zero_grad()
        policy.online(obs).gather(1, sample.actions).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in policy.online.parameters()])
    for packed, plain in zip(*gradients, strict=True):
        assert th.allclose(packed, plain, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_values_start_as_scaled_log_probs_of_the_pretrained_model(lm_folder, token_stream, masked):
    policy = LMQPolicy(*space_of("tokens", masked), lambda _: 1e-3, model=lm_folder, log_prob_scale=0.3)
    obs = {key: th.as_tensor(v) for key, v in Stream(token_stream(4), *space_of("tokens", masked)).obs.items()}
    values = policy.action_values(obs)
    model = load_language_model(lm_folder)
    for i, length in enumerate(obs["attention_mask"].sum(dim=1).tolist()):
        logits = model(input_ids=obs["input_ids"][i : i + 1, :length].long()).logits[0, -1]
        if masked:
            logits = logits.masked_fill(obs["action_mask"][i] == 0, float("-inf"))
        assert_close(values[i], 0.3 * logits.log_softmax(dim=0).detach())
    assert (policy(obs) == values.argmax(dim=1)).all()


@pytest.mark.parametrize("exploration", ["greedy", "softmax", "lm"])
@pytest.mark.parametrize("kind", ["tokens", "candidates"])
def test_illegal_actions_are_never_chosen(lm_folder, token_stream, kind, exploration):
    policy = make_policy(lm_folder, kind, masked=True, exploration=exploration, exploration_rate=0.5)
    stream = Stream(token_stream(4), policy.observation_space, policy.action_space)
    for _ in range(30):
        actions, _ = policy.predict(stream.obs, deterministic=False)
        assert stream.obs["action_mask"][np.arange(4), actions].all()
        stream.stream.append(actions % VOCAB_SIZE)
        stream.obs = stream._observe()


def test_illegal_next_actions_do_not_count_and_the_end_of_an_episode_has_no_next_value(lm_folder, token_stream):
    policy = make_policy(lm_folder, "tokens", masked=True)
    sample = filled_buffer(policy, token_stream).sample(50)
    with th.no_grad():
        values = policy.target(sample.next_observations)
    mask = sample.next_observations.columns["action_mask"].bool()
    assert values[~mask].isneginf().all() and values[mask].isfinite().all()
    assert mask[sample.dones.flatten() == 1].all()  # minus infinity times zero would be no number
    assert sample.dones.any() and not sample.dones.all()


def test_exploration_follows_its_distribution(lm_folder, token_stream):
    obs = {key: np.repeat(v[:1], 4000, axis=0) for key, v in token_stream(1).obs().items()}
    tensors = {key: th.as_tensor(v) for key, v in obs.items()}
    th.manual_seed(0)
    softmax = make_policy(lm_folder, exploration="softmax", exploration_temperature=0.02)
    expected = (softmax.action_values(tensors)[0] / 0.02).softmax(dim=0)
    assert_same_distribution(softmax.predict(obs)[0], expected)
    reference = make_policy(lm_folder, exploration="lm", exploration_rate=0.5)
    length = int(obs["attention_mask"][0].sum())
    logits = load_language_model(lm_folder)(input_ids=tensors["input_ids"][:1, :length].long()).logits[0, -1]
    expected = 0.5 * logits.softmax(dim=0).detach()
    expected[int(reference.action_values(tensors)[0].argmax())] += 0.5
    assert_same_distribution(reference.predict(obs)[0], expected)
    assert len(set(reference.predict(obs, deterministic=True)[0].tolist())) == 1


def assert_same_distribution(actions, expected):
    share = np.bincount(actions, minlength=VOCAB_SIZE) / len(actions)
    assert np.abs(share - expected.numpy()).max() < 0.03


@pytest.mark.parametrize("trainable", ["heads", "top:1"])
def test_frozen_weights_are_held_once_and_survive_target_updates(lm_folder, trainable):
    policy = make_policy(lm_folder, trainable=trainable, double_q=True, exploration="lm")
    frozen = [p for p in policy.online.lm.lm.parameters() if not p.requires_grad]
    before = [p.clone() for p in frozen]
    source = {p.data_ptr() for p in load_language_model(lm_folder).parameters()}
    twins = {p.data_ptr() for p in policy.target.lm.lm.parameters() if not p.requires_grad}
    assert {p.data_ptr() for p in frozen} == twins <= source
    theirs = {id(p) for p in policy.target.lm.lm.parameters()}
    assert all(id(p) in theirs for p in frozen)  # one tensor to move to a GPU, not two
    polyak_update(policy.online.parameters(), policy.target.parameters(), 0.5)
    assert all(th.equal(a, b) for a, b in zip(before, frozen, strict=True))
    polyak_update(policy.online.parameters(), policy.target.parameters(), 1.0)
    for online, target in zip(policy.online.parameters(), policy.target.parameters(), strict=True):
        assert th.equal(online, target) and online is not target


def test_a_frozen_model_runs_once_for_both_networks(lm_folder, token_stream, monkeypatch):
    policy = make_policy(lm_folder, trainable="heads")
    sample = filled_buffer(policy, token_stream).sample(30)
    passes = []
    forward = policy.online.lm.body.forward
    monkeypatch.setattr(policy.online.lm.body, "forward", lambda *a, **k: passes.append(1) or forward(*a, **k))
    with th.no_grad():
        policy.q_net_target(sample.next_observations)
    n_buckets = len(passes)
    policy.q_net(sample.observations)
    assert len(passes) == n_buckets > 0


@pytest.fixture
def candidate_env(lm_folder):
    prompts = ["the good", "a bad", "is", "was the"]
    return make_lm_vec_env(
        "TextGen-v0",
        n_envs=4,
        seed=0,
        env_kwargs={"model": lm_folder, "dataset": prompts, "reward": "length", "max_new_tokens": 6},
        wrapper_class=CandidateActions,
        wrapper_kwargs={"k": K},
    )


def make_dqn(env, folder, policy_kwargs=None, **kwargs):
    settings = {
        "buffer_size": 2_000,
        "learning_starts": 20,
        "batch_size": 16,
        "train_freq": 4,
        "target_update_interval": 40,
        "replay_buffer_class": SequenceReplayBuffer,
        "policy_kwargs": {"model": folder, **(policy_kwargs or {})},
        "seed": 1,
        "device": "cpu",
    }
    return DQN(LMQPolicy, env, **{**settings, **kwargs})


@pytest.mark.parametrize("trainable", ["all", "top:1", "heads"])
def test_dqn_trains_saves_loads_and_goes_on(candidate_env, lm_folder, tmp_path, trainable):
    model = make_dqn(candidate_env, lm_folder, {"trainable": trainable})
    before = [p.clone() for p in model.q_net.parameters()]
    model.learn(200)
    assert any(not th.equal(a, b) for a, b in zip(before, model.q_net.parameters(), strict=True))
    model.save(tmp_path / "dqn")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = DQN.load(tmp_path / "dqn", env=candidate_env)
    loaded.load_replay_buffer(tmp_path / "buffer")
    obs = candidate_env.reset()
    assert (loaded.predict(obs, deterministic=True)[0] == model.predict(obs, deterministic=True)[0]).all()
    for mine, theirs in zip(model.policy.state_dict().values(), loaded.policy.state_dict().values(), strict=True):
        assert th.equal(mine, theirs)
    assert loaded.replay_buffer.size() == model.replay_buffer.size() == model.num_timesteps
    loaded.learn(100, reset_num_timesteps=False)
    assert loaded.num_timesteps >= 300 and loaded.replay_buffer.size() == loaded.num_timesteps


def test_the_same_seed_trains_the_same(candidate_env, lm_folder):
    results = []
    for _ in range(2):
        candidate_env.seed(0)
        model = make_dqn(candidate_env, lm_folder).learn(120)
        results.append([p.detach().clone() for p in model.q_net.parameters()])
    assert all(th.equal(a, b) for a, b in zip(*results, strict=True))


def test_it_works_with_the_stock_replay_buffer_and_says_what_that_costs(candidate_env, lm_folder, caplog):
    warn_once.cache_clear()
    make_dqn(candidate_env, lm_folder, replay_buffer_class=None).learn(80)
    assert [record.message for record in caplog.records if "replay_buffer_class=SequenceReplayBuffer" in record.message]


def test_bfloat16_trains_float32_weights(candidate_env, lm_folder):
    model = make_dqn(candidate_env, lm_folder, {"trainable": "top:1", "dtype": "bfloat16"})
    before = [p.clone() for p in model.q_net.parameters()]
    model.learn(120)
    assert all(p.dtype == th.float32 for p in model.q_net.parameters())
    assert any(not th.equal(a, b) for a, b in zip(before, model.q_net.parameters(), strict=True))


def test_a_deep_copy_predicts_the_same_and_shares_what_is_frozen(lm_folder, token_stream):
    policy = make_policy(lm_folder, trainable="top:1")
    twin = copy.deepcopy(policy)
    obs = token_stream(4).obs()
    assert (twin.predict(obs, deterministic=True)[0] == policy.predict(obs, deterministic=True)[0]).all()
    frozen = [p.data_ptr() for p in policy.online.lm.lm.parameters() if not p.requires_grad]
    assert frozen == [p.data_ptr() for p in twin.online.lm.lm.parameters() if not p.requires_grad]


def test_sequences_of_another_environment_are_refused(lm_folder, token_stream):
    policy = make_policy(lm_folder, "candidates")
    sample = filled_buffer(policy, token_stream).sample(8)
    sample.observations.vocab_size = VOCAB_SIZE + 1
    with pytest.raises(CheckpointError, match="episodes of another environment: 65 tokens"):
        policy.online(sample.observations)


def test_a_checkpoint_of_another_kind_is_refused(lm_folder):
    state = make_policy(lm_folder, trainable="top:1").state_dict()
    with pytest.raises(CheckpointError, match="does not fit this policy"):
        make_policy(lm_folder, trainable="heads").load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"exploration": "random"}, UnknownNameError, "exploration"),
        ({"exploration_temperature": 0}, ConfigurationError, "exploration_temperature must be above 0"),
        ({"exploration_rate": 2}, ConfigurationError, "exploration_rate must lie between 0 and 1"),
        ({"log_prob_scale": 0}, ConfigurationError, "log_prob_scale must be above 0"),
        ({"n_quantiles": 0}, ConfigurationError, "n_quantiles must be at least 1"),
        ({"model": 3}, ConfigurationError, "must be a name"),
    ],
)
def test_impossible_arguments_are_refused(lm_folder, arguments, error, message):
    with pytest.raises(error, match=message):
        LMQPolicy(*space_of("tokens", False), lambda _: 1e-3, **{"model": lm_folder, **arguments})


def test_spaces_of_other_environments_are_refused(lm_folder):
    observation_space, action_space = space_of("tokens", False)
    with pytest.raises(ConfigurationError, match="Dict\\(input_ids"):
        LMQPolicy(spaces.Box(0, 1, (3,)), action_space, lambda _: 1e-3, model=lm_folder)
    with pytest.raises(ModelError, match="has 64 tokens, the environment has 2048"):
        tiny = spaces.Dict({**observation_space.spaces, "input_ids": spaces.Box(0, 2047, (MAX_TOKENS,), np.int32)})
        LMQPolicy(tiny, spaces.Discrete(2048), lambda _: 1e-3, model=lm_folder)
    with pytest.raises(ConfigurationError, match="exploration='lm' draws tokens"):
        LMQPolicy(*space_of("choices", False), lambda _: 1e-3, model=lm_folder, exploration="lm")


def test_each_algorithm_asks_for_its_kind_of_values(lm_folder):
    with pytest.raises(ConfigurationError, match="n_quantiles is for QRDQN"):
        _ = make_policy(lm_folder, n_quantiles=3).q_net
    with pytest.raises(ConfigurationError, match="QRDQN predicts quantiles"):
        _ = make_policy(lm_folder).quantile_net


def test_algorithms_of_the_other_kind_are_told_which_policy_they_need(lm_folder):
    env = make_lm_vec_env(
        "TextGen-v0", n_envs=2, env_kwargs={"model": lm_folder, "dataset": ["the good"], "reward": "length"}
    )
    with pytest.raises(ConfigurationError, match=r"PPO\(agents.LMActorCriticPolicy"):
        PPO(LMQPolicy, env, policy_kwargs={"model": lm_folder}, device="cpu")
    with pytest.raises(ConfigurationError, match=r"DQN\(agents.LMQPolicy"):
        DQN(LMActorCriticPolicy, env, policy_kwargs={"model": lm_folder}, device="cpu", buffer_size=10)


@pytest.mark.parametrize("trainable", ["heads", "all"])
def test_acting_computes_each_token_once(lm_folder, token_stream, trainable):
    policy = make_policy(lm_folder, trainable=trainable)
    stream = token_stream(4)
    policy.predict(stream.obs())
    (cache,) = policy._caches.caches.values()
    seen = cache.computed_tokens
    for _ in range(5):
        stream.append(np.full(4, 5))
        policy.predict(stream.obs())
        assert cache.computed_tokens == seen + np.where(stream.starts, stream.lengths, 1).sum()
        seen = cache.computed_tokens
    policy.set_training_mode(True)
    policy.predict(stream.obs())
    everything = int(stream.lengths.sum())
    assert cache.computed_tokens == seen + (4 if trainable == "heads" else everything)


def test_a_saved_buffer_of_another_environment_is_refused_at_the_first_step(candidate_env, lm_folder, tmp_path):
    model = make_dqn(candidate_env, lm_folder).learn(40)
    model.save_replay_buffer(tmp_path / "buffer")
    longer = make_lm_vec_env(
        "TextGen-v0",
        n_envs=4,
        env_kwargs={"model": lm_folder, "dataset": ["the good"], "reward": "length", "max_new_tokens": 9},
        wrapper_class=CandidateActions,
        wrapper_kwargs={"k": K},
    )
    other = make_dqn(longer, lm_folder)
    other.load_replay_buffer(tmp_path / "buffer")
    with pytest.raises(CheckpointError, match="it was saved with another environment"):
        other.learn(40)


def test_algorithms_hand_on_what_the_buffer_refuses(candidate_env, lm_folder):
    with pytest.raises(ConfigurationError, match="optimize_memory_usage=True"):
        make_dqn(candidate_env, lm_folder, optimize_memory_usage=True)
    with pytest.raises(ConfigurationError, match="buffer_size=75 is less than one episode, which may take 76 tokens"):
        make_dqn(candidate_env, lm_folder, buffer_size=75)


def test_a_deep_copy_of_an_algorithm_learns_by_itself(candidate_env, lm_folder):
    model = make_dqn(candidate_env, lm_folder).learn(60)
    model.env = None
    twin = copy.deepcopy(model)
    assert twin.q_net is twin.policy.online and twin.q_net_target is twin.policy.target
    twin.set_env(candidate_env)
    before = [p.clone() for p in twin.policy.online.parameters()]
    mine = [p.clone() for p in model.q_net.parameters()]
    twin.learn(80)
    assert any(not th.equal(a, b) for a, b in zip(before, twin.policy.online.parameters(), strict=True))
    assert all(th.equal(a, b) for a, b in zip(mine, model.q_net.parameters(), strict=True))


def test_normalised_tokens_are_refused(candidate_env, lm_folder):
    model = make_dqn(VecNormalize(candidate_env), lm_folder, learning_starts=0)
    with pytest.raises(ConfigurationError, match="norm_obs=False"):
        model.learn(20)
    make_dqn(VecNormalize(candidate_env, norm_obs=False), lm_folder).learn(40)


@pytest.mark.parametrize(("kind", "masked"), KINDS)
@pytest.mark.parametrize("n_quantiles", [None, 3])
def test_dueling_advantages_have_mean_zero(lm_folder, token_stream, kind, masked, n_quantiles):
    policy = make_policy(lm_folder, kind, masked, dueling=True, n_quantiles=n_quantiles)
    sample = filled_buffer(policy, token_stream).sample(20)
    with th.no_grad():
        hidden = policy.online.hidden(sample.observations)
        values = policy.online(sample.observations).view(20, n_quantiles or 1, -1)
        weights = sample.observations.columns.get("action_mask", th.ones(20, values.shape[2])).float()[:, None]
        mean = (values * weights).sum(dim=2) / weights.sum(dim=2)
        assert th.allclose(mean, policy.online.value(hidden), atol=1e-5)
