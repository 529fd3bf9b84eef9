"""CandidateActions offers what a plain forward pass finds most probable, in single and in vector environments."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import lm_envs
from lm_envs.errors import ConfigurationError, InvalidActionError, ModelError
from lm_envs.wrappers import CandidateActions, vector

EOS = 1


def row(obs, i):
    return {name: values[i] for name, values in obs.items()}


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name) if a[name].dtype.kind in "iu" else (
            np.testing.assert_allclose(a[name], b[name], atol=1e-5)
        )


def test_candidates_are_those_of_a_plain_pass(random_lm_folder, family, make_envs, plain_outputs):
    folder = random_lm_folder(family)
    envs = CandidateActions(make_envs(4, model=folder), 5, temperature=0.7)
    obs, _ = envs.reset(seed=0)
    rng, n_eos_added = np.random.default_rng(0), 0
    for _ in range(12):
        assert obs in envs.observation_space
        for i in range(4):
            expected = plain_outputs(folder, row(obs, i), temperature=0.7)[0]
            log_probs, ids = expected.topk(5)
            if EOS not in ids:
                n_eos_added += 1
                ids[-1], log_probs[-1] = EOS, expected[EOS]
            assert obs["candidate_ids"][i].tolist() == ids.tolist()
            assert obs["candidate_log_probs"][i] == pytest.approx(log_probs.numpy(), abs=1e-4)
        obs = envs.step(rng.integers(0, 5, 4))[0]
    assert 0 < n_eos_added


def test_a_slot_appends_its_token(make_envs):
    envs = CandidateActions(make_envs(), 6)
    obs, _ = envs.reset(seed=1)
    lengths = obs["attention_mask"].sum(axis=1)
    chosen = np.array([3, 0, 2])
    tokens = obs["candidate_ids"][np.arange(3), chosen].copy()
    obs["candidate_ids"][:] = 0  # the caller's copy
    after = envs.step(chosen)[0]
    assert EOS not in tokens
    assert (after["input_ids"][np.arange(3), lengths] == tokens).all()


def test_row_i_of_the_vector_is_the_single_environment_seeded_alike(make_env, make_envs):
    envs = CandidateActions(make_envs(), 4, top_p=0.8)
    singles = [CandidateActions(make_env(), 4, top_p=0.8) for _ in range(3)]
    obs, _ = envs.reset(seed=5)
    for i, single in enumerate(singles):
        same(row(obs, i), single.reset(seed=5 + i)[0])
    rng, n_ends = np.random.default_rng(0), 0
    for _ in range(30):
        actions = rng.integers(0, 4, 3)
        obs, rewards, terminated, _, infos = envs.step(actions)
        for i, single in enumerate(singles):
            single_obs, reward, single_terminated, _, info = single.step(actions[i])
            assert (reward, single_terminated) == (rewards[i], terminated[i])
            if single_terminated:
                n_ends += 1
                same(infos["final_obs"][i], single_obs)
                assert infos["final_obs"][i] in envs.single_observation_space
                assert infos["final_info"]["completion"][i] == info["completion"]
                single_obs = single.reset()[0]
            same(row(obs, i), single_obs)
            assert (envs.action_masks()[i] == single.action_masks()).all()
    assert n_ends > 5


def test_after_the_end_nothing_is_computed(make_env):
    env = CandidateActions(make_env(), 4, top_p=0.9)
    obs, _ = env.reset(seed=0)
    computed, terminated = 0, False
    while not terminated:
        computed = env._rows.lm.cache.computed_tokens
        slot = obs["candidate_ids"].tolist().index(EOS)
        obs, _, terminated, _, info = env.step(slot)
    assert info["stop_reason"] == "eos" and env._rows.lm.cache.computed_tokens == computed
    assert obs["candidate_ids"].tolist() == [EOS] * 4
    assert obs["candidate_log_probs"].tolist() == [0.0] * 4 and obs["action_mask"].tolist() == [1] * 4
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_each_token_is_computed_once(make_envs):
    envs = CandidateActions(make_envs(4), 5)
    obs, _ = envs.reset(seed=0)
    n_tokens = int(obs["attention_mask"].sum())
    for _ in range(15):
        obs, _, terminated, _, _ = envs.step(np.zeros(4, dtype=np.int64))
        lengths = obs["attention_mask"].sum(axis=1)
        n_tokens += int(np.where(terminated, lengths, 1).sum())
    # at most: the new prompt may share its beginning with the old text, which is then not computed again
    assert 4 * 16 <= envs._rows.lm.cache.computed_tokens <= n_tokens


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_truncated_episodes_have_candidates_terminated_ones_do_not(make_truncated, plain_outputs, lm_folder, mode):
    envs = CandidateActions(make_truncated(3, mode), 4)
    obs, _ = envs.reset(seed=0)
    assert envs.metadata["autoreset_mode"] == gym.vector.AutoresetMode(mode)
    n_truncated = n_terminated = 0
    rng = np.random.default_rng(0)
    for _ in range(25):
        obs, _, terminated, truncated, infos = envs.step(rng.integers(0, 4, 3))
        assert obs in envs.observation_space
        for i in np.flatnonzero(terminated | truncated):
            final = infos["final_obs"][i] if mode == "SameStep" else row(obs, i)
            if terminated[i]:
                n_terminated += 1
                assert final["candidate_ids"].tolist() == [EOS] * 4
            else:
                n_truncated += 1
                expected = plain_outputs(lm_folder, final)[0]
                assert final["candidate_log_probs"] == pytest.approx(expected[final["candidate_ids"]].numpy(), abs=1e-4)
                assert final["candidate_ids"][0] == expected.argmax()
        for i in range(3):
            if mode == "SameStep" or not terminated[i]:
                assert obs["candidate_ids"][i, 0] == plain_outputs(lm_folder, row(obs, i))[0].argmax()
    assert n_truncated > 2 and n_terminated > 2


def test_forbidden_tokens_are_no_candidates(make_env, forbid_tokens, plain_outputs, lm_folder):
    env = CandidateActions(forbid_tokens(make_env()), 6)
    obs, _ = env.reset(seed=0)
    for n_new in range(5):
        assert obs in env.observation_space and obs["action_mask"].all()
        expected = plain_outputs(lm_folder, obs)[0]
        expected[[] if n_new >= 3 else [EOS]] = -th.inf
        log_probs, ids = expected[:40].topk(6)
        if n_new >= 3 and EOS not in ids:
            ids[-1], log_probs[-1] = EOS, expected[EOS]
        assert obs["candidate_ids"].tolist() == ids.tolist()
        assert obs["candidate_log_probs"] == pytest.approx(log_probs.numpy(), abs=1e-4)  # not renormalised
        obs = env.step(0 if ids[0] != EOS else 1)[0]


def test_the_end_becomes_a_candidate_after_min_new_tokens(make_envs, make_env):
    envs = CandidateActions(make_envs(min_new_tokens=3), 4)
    single = CandidateActions(make_env(min_new_tokens=3), 4)
    obs, _ = envs.reset(seed=0)
    same(row(obs, 0), single.reset(seed=0)[0])
    n_ends = 0
    for _ in range(15):
        n_new = envs.unwrapped._episodes.state.new_lengths
        assert obs in envs.observation_space and obs["action_mask"].shape == (3, 4)
        assert ((obs["candidate_ids"] == EOS).any(axis=1) == (n_new >= 3)).all()
        obs, _, terminated, _, infos = envs.step(np.full(3, 3))
        for i in np.flatnonzero(terminated):
            n_ends += 1
            assert infos["final_obs"][i] in envs.single_observation_space
            assert infos["final_info"]["stop_reason"][i] == "eos" and infos["final_info"]["n_new_tokens"][i] == 4
    assert n_ends == 9


def test_slots_beyond_the_legal_tokens_repeat_the_first(make_env, forbid_tokens):
    env = CandidateActions(forbid_tokens(make_env(), n_legal=4), 6)  # tokens 0, 2, 3; the end comes later
    obs, _ = env.reset(seed=0)
    ids, log_probs = obs["candidate_ids"], obs["candidate_log_probs"]
    assert sorted(ids[:3]) == [0, 2, 3] and (ids[3:] == ids[0]).all() and (log_probs[3:] == log_probs[0]).all()
    assert obs["action_mask"].tolist() == [1, 1, 1, 0, 0, 0] == env.action_masks().astype(int).tolist()
    length = int(obs["attention_mask"].sum())
    assert env.step(4)[0]["input_ids"][length] == ids[0]


def test_top_p(make_envs, plain_outputs, lm_folder):
    envs = CandidateActions(make_envs(4), 10, top_p=0.3)
    obs, _ = envs.reset(seed=3)
    for i in range(4):
        probs, ids = plain_outputs(lm_folder, row(obs, i))[0].exp().sort(descending=True)
        n = int((probs.cumsum(0) < 0.3).sum()) + 1
        assert 1 < n < 10
        assert obs["candidate_ids"][i, :n].tolist() == ids[:n].tolist()
        mask = obs["action_mask"][i].tolist()
        if EOS in ids[:n]:
            assert mask == [1] * n + [0] * (10 - n)
        else:
            assert mask == [1] * n + [0] * (9 - n) + [1] and obs["candidate_ids"][i, -1] == EOS
    assert envs.action_masks().dtype == np.bool_ and (envs.action_masks() == obs["action_mask"]).all()


def test_without_a_reason_there_is_no_mask(make_env):
    env = CandidateActions(make_env(), 3)
    assert "action_mask" not in env.reset(seed=0)[0] and env.action_masks().tolist() == [True] * 3


def test_another_model_can_propose(make_env, random_lm_folder, plain_outputs):
    other = random_lm_folder("gpt2", seed=3)
    obs, _ = CandidateActions(make_env(), 3, model=other).reset(seed=0)
    assert obs["candidate_ids"][0] == plain_outputs(other, obs)[0].argmax()


def test_errors_of_the_constructor(make_env, make_envs, stand_in):
    for wrong in ({"k": 0}, {"k": 65}, {"k": 2.5}, {"temperature": 0.0}, {"temperature": float("nan")},
                  {"top_p": 0.0}, {"top_p": 1.1}, {"sample": "greedy"}, {"dtype": "float8"}):  # fmt: skip
        for env in (make_env(), make_envs()):
            with pytest.raises(ConfigurationError, match=next(iter(wrong))):
                CandidateActions(env, **wrong)
    with pytest.raises(ModelError, match="predicts 2048 tokens.*64"):
        CandidateActions(make_env(), 4, model="tiny")
    with pytest.raises(ConfigurationError, match="token environment"):
        CandidateActions(gym.make("CartPole-v1"), 4)
    with pytest.raises(ConfigurationError, match="token environment"):
        CandidateActions(gym.make_vec("CartPole-v1", num_envs=2), 4)
    with pytest.raises(ConfigurationError, match="CandidateActions already"):
        CandidateActions(CandidateActions(make_env(), 4), 4)


def test_invalid_actions(make_env, make_envs):
    env, envs = CandidateActions(make_env(), 4), CandidateActions(make_envs(), 4)
    for wrapper, action in ((env, 0), (envs, [0, 0, 0])):
        with pytest.raises(ResetNeeded):
            wrapper.step(action)
        wrapper.reset(seed=0)
    for action in (4, -1, 0.0, [0], "a"):
        with pytest.raises(InvalidActionError):
            env.step(action)
    for action, message in (([0, 4, 0], "environment 1"), ([0, 0, -1], "environment 2"), ([0, 0], "shape"),
                            ([0.0, 0.0, 0.0], "integer")):  # fmt: skip
        with pytest.raises(InvalidActionError, match=message):
            envs.step(np.array(action))
    env.step(np.int32(3))
    envs.step([0, 3, 0])


def test_constructor_returns_the_vector_class(make_env, make_envs):
    assert type(CandidateActions(make_envs(), 4)) is vector.CandidateActions
    assert type(CandidateActions(make_env(), 4)) is CandidateActions is lm_envs.wrappers.CandidateActions


@pytest.mark.parametrize("kind", ["single", "vector"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_alike_without_a_copy_of_the_weights(make_env, make_envs, kind, copied):
    env = CandidateActions(make_env() if kind == "single" else make_envs(), 4, sample="lm")
    action = 1 if kind == "single" else np.array([1, 2, 0])
    env.reset(seed=0)
    env.step(action)
    assert len(pickle.dumps(env._rows)) < 5_000
    twin = copied(env)
    assert twin._rows.lm._lm is None
    space, twin_space = (w._rows.action_space for w in (env, twin))
    assert twin_space is not space and [twin_space.seed(3), space.seed(3)]
    assert [space.sample() for _ in range(20)] == [twin_space.sample() for _ in range(20)]
    for _ in range(8):
        result, twin_result = env.step(action), twin.step(action)
        same(result[0], twin_result[0])
        if kind == "single" and result[2]:
            same(env.reset()[0], twin.reset()[0])
    assert twin._rows.lm.lm.lm is not env._rows.lm.lm.lm
    weights, twin_weights = (next(w._rows.lm.lm.lm.parameters()) for w in (env, twin))
    assert weights.data_ptr() == twin_weights.data_ptr()


def test_seeds(make_env):
    first, second = (CandidateActions(make_env(), 4) for _ in range(2))
    for seed in (1, 2):
        same(first.reset(seed=seed)[0], second.reset(seed=seed)[0])
        assert first.np_random_seed == seed


def test_other_attributes_pass_through(make_env, make_envs):
    env = CandidateActions(make_env(render_mode="ansi"), 4)
    env.reset(seed=0)
    assert isinstance(env.render(), str) and env.render_mode == "ansi"
    envs = CandidateActions(make_envs(render_mode="ansi"), 4)
    envs.reset(seed=0)
    assert len(envs.render()) == 3 and envs.unwrapped.vocabulary.size == 64


def test_the_spec_makes_it_again(make_env):
    spec = CandidateActions(TimeLimit(make_env(), 9), 4, temperature=0.5).spec
    again = gym.make(spec)
    assert again.get_wrapper_attr("action_space").n == 4 and again.spec.additional_wrappers[-1].kwargs["k"] == 4


@pytest.mark.filterwarnings("ignore:.*infinity:UserWarning", "ignore:.*different from the unwrapped:UserWarning")
@pytest.mark.parametrize("arguments", [{}, {"top_p": 0.7, "sample": "lm"}])
def test_checkers(make_env, arguments):
    env = CandidateActions(make_env(), 4, **arguments)
    check_env(env, skip_render_check=True)
    sb3_check_env(env)


@pytest.mark.parametrize("vectorized", ["one", "own", "sync"])
def test_the_end_of_a_turn_is_always_a_candidate_in_conversations(vectorized):
    if vectorized == "one":
        env = CandidateActions(gym.make("Dialogue-v0"), 1)
    else:
        mode = {"own": "vector_entry_point", "sync": "sync"}[vectorized]
        env = CandidateActions(gym.make_vec("Dialogue-v0", num_envs=2, vectorization_mode=mode), 1)
    obs, _ = env.reset(seed=0)
    assert (obs["candidate_ids"] == 2).all()  # tiny's <|endofturn|>; its <|endoftext|> would close the conversation


def test_importing_the_wrappers_imports_no_torch():
    code = "import sys, lm_envs.wrappers, lm_envs.wrappers.vector; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_documentation_has_the_usual_headings():
    for heading in ("Description", "Observation Space", "Action Space", "Arguments", "Errors", "Example", "References"):
        assert f"## {heading}" in CandidateActions.__doc__
        assert f"## {heading}" in lm_envs.wrappers.HiddenStateObservation.__doc__
