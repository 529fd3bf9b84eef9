"""Conversations in rollouts and replay: cached as uncached, agent tokens only as actions, SB3's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictReplayBuffer, DictRolloutBuffer
from stable_baselines3.common.vec_env import VecEnvWrapper

from agents import (
    LMActorCriticPolicy,
    ReferenceKLCallback,
    SequenceReplayBuffer,
    SequenceRolloutBuffer,
    TokenRewardsCallback,
    make_lm_vec_env,
)
from lm_envs.dialogue.partners import Acts, Opening, Partners, Reply

WORDS = ["the", "good", "bad", "is", "was", "a", "is it", "so. so. so.", "good bad good bad good"]


class MarketActs(Acts):
    """Two acts; the state is the last one."""

    names = ("ask", "tell")
    state_size = 2

    def __init__(self, num_rows):
        self.last = np.zeros((num_rows, 2), dtype=np.int8)

    def phrase(self, row, act, rng):
        self.last[row] = np.eye(2)[act]
        return ("is it good?", "the bad")[act]

    def state(self, row):
        return self.last[row]


class Market(Partners):
    """Customers who say words of random number, and leave at random."""

    def __init__(self, num_rows, leaves=12):
        self.leaves, self.rngs, self.acts = leaves, {}, MarketActs(num_rows)

    def say(self, rng):
        return " ".join(rng.choice(WORDS, size=rng.integers(1, 5)))

    def open(self, rows, scenarios, rngs):
        self.rngs |= dict(zip(rows, rngs, strict=True))
        self.acts.last[rows] = 0
        return [Opening([{"role": "user", "content": self.say(rng)}]) for rng in rngs]

    def reply(self, rows, histories):
        return [Reply(self.say(self.rngs[row]), bool(self.rngs[row].integers(self.leaves) == 0)) for row in rows]


def n_letters(completions, **columns):
    return [len(text) / 10 for text in completions]


def each_turn(completions, turn, **columns):
    return [number + len(text) / 100 for text, number in zip(completions, turn, strict=True)]


each_turn.per_turn = True


def by_token(completion_ids, **columns):
    return [[token / 100 for token in ids] for ids in completion_ids]


def make_venv(folder, n_envs=5, seed=0, **kwargs):
    env_kwargs = {
        "model": folder, "partner": Market, "reward": {n_letters: 1.0, each_turn: 0.5}, "max_tokens": 64,
        "max_turn_tokens": 7 if kwargs.get("actions") == "acts" else 4, "max_user_tokens": 10, "max_turns": 9,
        "on_overflow": "drop", **kwargs,
    }  # fmt: skip
    return make_lm_vec_env("Dialogue-v0", n_envs=n_envs, seed=seed, env_kwargs=env_kwargs)


class Recorder(VecEnvWrapper):
    """Writes down every step: observations, actions, rewards, dones, infos, the observations that followed."""

    def __init__(self, venv):
        super().__init__(venv)
        self.steps = []

    def reset(self):
        self.obs = self.venv.reset()
        return self.obs

    def step_async(self, actions):
        self.actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self):
        obs, rewards, dones, infos = self.venv.step_wait()
        after = {key: values.copy() for key, values in obs.items()}
        for i in np.flatnonzero(dones):
            for key in after:
                after[key][i] = infos[i]["terminal_observation"][key]
        self.steps.append((self.obs, self.actions, rewards, dones, infos, after))
        self.obs = obs
        return obs, rewards, dones, infos


def tokens(obs, row):
    return obs["input_ids"][row][obs["attention_mask"][row] == 1].tolist()


def extends(obs, after, row):
    return tokens(after, row)[: len(tokens(obs, row))] == tokens(obs, row)


def make_model(venv, folder, buffer=SequenceRolloutBuffer, n_steps=48, **policy_kwargs):
    return PPO(
        LMActorCriticPolicy, venv, n_steps=n_steps, batch_size=n_steps, n_epochs=1, gamma=0.97, gae_lambda=0.9, seed=0,
        rollout_buffer_class=buffer, device="cpu", policy_kwargs={"model": folder, **policy_kwargs},
    )  # fmt: skip


def collect(model, callback=None):
    _, callback = model._setup_learn(10**6, callback=callback)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model.rollout_buffer


def plain_log_probs(lm, obs):
    """The next token's log-probabilities, without cache or packing, one observation at a time."""
    with th.no_grad():
        rows = [lm(th.tensor([tokens(obs, row)])).logits[0, -1] for row in range(len(obs["input_ids"]))]
    return th.stack(rows).log_softmax(dim=-1)


@pytest.mark.parametrize("overflow", ["end", "drop"])
def test_cached_equals_uncached(random_lm, random_lm_folder, family, overflow):
    venv = make_venv(random_lm_folder(family), on_overflow=overflow)
    policy = make_model(venv, random_lm_folder(family)).policy
    th.nn.init.normal_(policy.value_head.output.weight)
    lm = random_lm(family)
    obs, drops, turns, ends = venv.reset(), 0, 0, 0
    for step in range(60):
        if step == 25:
            obs, _ = venv.venv.envs.reset(options={"reset_mask": np.array([True, False, True, False, False])})
        tensors, _ = policy.obs_to_tensor(obs)
        actions, values, log_prob = policy(tensors)
        expected = plain_log_probs(lm, obs)
        assert th.allclose(log_prob, expected.gather(1, actions[:, None])[:, 0], atol=1e-4)
        with th.no_grad():
            plain_values, plain, _ = policy.evaluate_actions(tensors, actions)
        assert th.allclose(values.flatten(), plain_values.flatten(), atol=1e-4)
        assert th.allclose(log_prob, plain, atol=1e-4)
        before = obs
        obs, _, dones, infos = venv.step(actions.numpy())
        ends += dones.sum()
        turns += sum("turn" in info for info in infos)
        drops += sum(not dones[i] and not extends(before, obs, i) for i in range(5))
    assert turns > 40 and ends > 3 and (drops > 3) == (overflow == "drop")


@pytest.mark.parametrize("overflow", ["end", "drop"])
@pytest.mark.parametrize("actions", ["tokens", "acts"])
def test_the_first_ratio_is_one(random_lm_folder, family, overflow, actions):
    folder = random_lm_folder(family)
    model = make_model(make_venv(folder, actions=actions, on_overflow=overflow), folder, n_steps=24)
    if actions == "acts":
        th.nn.init.normal_(model.policy.choices.output.weight)
    for _ in range(2):  # the second rollout begins in the middle of conversations
        buffer = collect(model)
        n = 0
        for sample in buffer.get(30):
            values, log_prob, _ = model.policy.evaluate_actions(sample.observations, sample.actions)
            assert th.allclose((log_prob - sample.old_log_prob).exp(), th.ones_like(log_prob), atol=1e-4)
            assert th.allclose(values.flatten(), sample.old_values, atol=1e-4)
            n += len(log_prob)
        assert n == 24 * 5


@pytest.mark.parametrize("overflow", ["end", "drop"])
def test_only_tokens_of_the_agent_are_actions(lm_folder, overflow):
    venv = Recorder(make_venv(lm_folder, on_overflow=overflow))
    buffer = collect(make_model(venv, lm_folder, n_steps=80))
    store, n_agent, user_tokens = buffer.store, np.zeros(5, dtype=int), 0
    began = np.zeros(5, dtype=bool)
    for step, (obs, actions, _, dones, infos, after) in enumerate(venv.steps):
        for row in range(5):
            length, action = len(tokens(obs, row)), int(actions[row])
            position, sequence = store.position_of[step, row], store.row_of[step, row]
            assert position == length - 1 and buffer.actions[step, row] == action
            assert store.tokens[sequence, :length].tolist() == tokens(obs, row)
            if extends(obs, after, row):
                assert tokens(after, row)[length] == action
                user_tokens += len(tokens(after, row)) - length - 1
            if position + 1 < store.lengths[sequence]:
                assert store.tokens[sequence, position + 1] == action
            n_agent[row] += 1
            if dones[row]:
                assert not began[row] or infos[row]["n_new_tokens"] == n_agent[row]
                n_agent[row], began[row] = 0, True
    assert user_tokens > 200 and began.all()
    pairs = {(row, position) for row, position in zip(store.row_of.ravel(), store.position_of.ravel(), strict=True)}
    assert len(pairs) == 80 * 5  # no position acts twice


@pytest.mark.parametrize("actions", ["tokens", "acts"])
def test_advantages_run_over_the_agents_steps(lm_folder, actions):
    venv = Recorder(make_venv(lm_folder, actions=actions))
    model = make_model(venv, lm_folder, n_steps=40)
    th.nn.init.normal_(model.policy.value_head.output.weight)
    buffer = collect(model)
    last = model.policy.predict_values(model.policy.obs_to_tensor(venv.obs)[0]).detach()
    sb3s = DictRolloutBuffer(40, venv.observation_space, venv.action_space, "cpu", 0.9, 0.97, 5)
    starts = np.ones(5)
    for step, (obs, taken, rewards, dones, _, _) in enumerate(venv.steps):
        value, log_prob = th.tensor(buffer.values[step]), th.tensor(buffer.log_probs[step])
        sb3s.add(obs, taken.reshape(-1, 1), rewards, starts, value, log_prob)
        starts = dones.astype(np.float32)
    sb3s.compute_returns_and_advantage(last, dones)
    assert np.allclose(buffer.advantages, sb3s.advantages, atol=1e-5)
    advantage, following = np.zeros(5), last.flatten().numpy()
    for step in reversed(range(40)):  # Schulman et al. 2016, equation 16, over what the agent did
        _, _, rewards, dones, _, _ = venv.steps[step]
        delta = rewards + 0.97 * following * ~dones - buffer.values[step]
        advantage = delta + 0.97 * 0.9 * advantage * ~dones
        assert np.allclose(buffer.advantages[step], advantage, atol=1e-4)
        following = buffer.values[step]
    assert abs(buffer.rewards).sum() > 1


def transition(obs, row, action, reward, done, after):
    """A transition as something that can be compared: tokens and further columns, before and after."""
    further = [key for key in sorted(obs) if key not in ("input_ids", "attention_mask")]
    extra = [np.asarray(part[key][row]).astype(int).tolist() for key in further for part in (obs, after)]
    ended = None if done else (tokens(after, row), extra[1::2])
    return repr((tokens(obs, row), extra[::2], int(action), round(float(reward), 4), bool(done), ended))


@pytest.mark.parametrize("overflow", ["end", "drop"])
@pytest.mark.parametrize("actions", ["tokens", "acts"])
def test_replay_holds_what_sb3s_holds(lm_folder, overflow, actions):
    venv = Recorder(make_venv(lm_folder, on_overflow=overflow, actions=actions))
    spaces = venv.observation_space, venv.action_space
    ours = SequenceReplayBuffer(20_000, *spaces, "cpu", n_envs=5)
    sb3s = DictReplayBuffer(60 * 5, *spaces, "cpu", n_envs=5, handle_timeout_termination=False)
    rng, obs = np.random.default_rng(0), venv.reset()
    for _ in range(60):
        taken = rng.integers(0, venv.action_space.n, 5)
        following, *_ = venv.step(taken)
        before, _, rewards, dones, infos, after = venv.steps[-1]
        for buffer in (ours, sb3s):
            buffer.add(before, after, taken.reshape(-1, 1), rewards, dones, infos)
        obs = following
    stored = [
        transition(
            {key: values[step] for key, values in sb3s.observations.items()}, row, sb3s.actions[step, row, 0],
            sb3s.rewards[step, row], sb3s.dones[step, row],
            {key: values[step] for key, values in sb3s.next_observations.items()},
        )
        for step in range(60) for row in range(5)
    ]  # fmt: skip
    assert ours.size() == 300 and sum("False" in text for text in stored) < 300 and obs is not None
    sample = ours.sample(300)
    assert sorted(packed_transitions(sample)) == sorted(stored)


def packed_transitions(sample):
    """The transitions of a sample of whole sequences."""
    before, after = sample.observations, sample.next_observations
    found = []
    for i in range(len(before)):
        parts = []
        for packed in (before, after):
            ids = packed.input_ids[packed.rows[i], : packed.positions[i] + 1].tolist()
            parts.append((ids, [packed.columns[key][i].int().tolist() for key in sorted(packed.columns)]))
        done = bool(sample.dones[i])
        rest = int(sample.actions[i]), round(float(sample.rewards[i]), 4), done, None if done else parts[1]
        found.append(repr((*parts[0], *rest)))
    return found


def test_every_token_of_a_conversation_is_computed_once(lm_folder):
    kwargs = {"max_tokens": 250, "max_turns": 8, "on_overflow": "end", "partner": Market}
    venv = make_venv(lm_folder, n_envs=4, partner_kwargs={"leaves": 10**6}, **kwargs)
    policy = make_model(venv, lm_folder).policy
    obs, dones, n_calls = venv.reset(), np.zeros(4, dtype=bool), 0
    while not dones.any():
        lengths = obs["attention_mask"].sum(axis=1)
        actions, _, _ = policy(policy.obs_to_tensor(obs)[0])
        n_calls += 1
        assert policy._caches.caches["rollout actor", 4].computed_tokens == lengths.sum()
        obs, _, dones, infos = venv.step(actions.numpy())
    info = infos[int(dones.argmax())]
    assert info["n_turns"] == 8 and lengths.sum() > 4 * n_calls * 2  # more tokens of the user than of the agent


def test_a_drop_costs_the_tokens_that_are_left(lm_folder):
    venv = make_venv(lm_folder, n_envs=1, partner_kwargs={"leaves": 10**6}, max_turns=10**6, system="be good.")
    policy = make_model(venv, lm_folder).policy
    obs, computed, drops = venv.reset(), 0, 0
    for _ in range(120):
        before, (actions, _, _) = obs, policy(policy.obs_to_tensor(obs)[0])
        total = policy._caches.caches["rollout actor", 1].computed_tokens
        obs, *_ = venv.step(actions.numpy())
        computed, drops = total, drops + (not extends(before, obs, 0))
        policy(policy.obs_to_tensor(obs)[0])
        new = policy._caches.caches["rollout actor", 1].computed_tokens - computed
        common = int((np.array(before["input_ids"][0]) != obs["input_ids"][0]).argmax())
        assert new <= len(tokens(obs, 0)) - min(common, len(tokens(obs, 0)) - 1)
    assert drops > 3


def test_the_reference_is_asked_about_the_agents_tokens(random_lm, random_lm_folder):
    folder = random_lm_folder("llama")
    venv = Recorder(make_venv(folder))
    callback = ReferenceKLCallback(coef=0.1, model=random_lm_folder("llama", seed=1))
    buffer = collect(make_model(venv, folder), callback)
    reference = random_lm("llama", seed=1)
    for step, (obs, actions, rewards, *_) in enumerate(venv.steps):
        log_probs = plain_log_probs(reference, obs)[np.arange(5), actions].numpy()
        expected = rewards - 0.1 * (buffer.log_probs[step] - log_probs)
        assert np.allclose(buffer.rewards[step], expected, atol=1e-4)
    assert callback.episode_kl > 0


def test_the_penalty_is_nothing_before_training(lm_folder):
    callback = ReferenceKLCallback(coef=0.1)
    collect(make_model(make_venv(lm_folder), lm_folder), callback)
    assert abs(callback.episode_kl) < 1e-3


def test_token_rewards_go_to_the_steps_that_wrote_the_tokens(lm_folder):
    venv = Recorder(make_venv(lm_folder, reward=by_token))
    buffer = collect(make_model(venv, lm_folder, n_steps=80), TokenRewardsCallback())
    last_end = {row: max(s for s, step in enumerate(venv.steps) if step[3][row]) for row in range(5)}
    for step, (_, actions, *_) in enumerate(venv.steps):
        for row in range(5):
            expected = actions[row] / 100 if step <= last_end[row] else 0.0
            assert buffer.rewards[step, row] == pytest.approx(expected, abs=1e-5)
