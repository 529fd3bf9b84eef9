"""The bridge gives SB3 what it would get from single environments."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

from agents import GymnasiumVecEnv, make_lm_vec_env
from lm_envs.errors import ConfigurationError, InvalidActionError, UnknownNameError


@pytest.fixture
def env_kwargs(lm_folder):
    return {
        "model": lm_folder, "dataset": ["the good", "a bad was", "is"] * 5, "max_prompt_tokens": 8, "max_new_tokens": 5,
        "reward": lambda prompts, completions, **_: [float(len(c)) for c in completions],
    }  # fmt: skip


def test_same_steps_as_sb3s_own_vec_env(env_kwargs):
    ours = make_lm_vec_env("TextGen-v0", n_envs=3, seed=7, env_kwargs=env_kwargs)
    sb3s = make_vec_env("TextGen-v0", n_envs=3, seed=7, env_kwargs=env_kwargs)
    rng = np.random.default_rng(0)
    observations = ours.reset(), sb3s.reset()
    ended = 0
    for _ in range(40):
        for key in ("input_ids", "attention_mask"):
            assert (observations[0][key] == observations[1][key]).all()
        actions = rng.integers(0, 64, 3)
        (obs_a, rewards_a, dones_a, infos_a), (obs_b, rewards_b, dones_b, infos_b) = (
            ours.step(actions),
            sb3s.step(actions),
        )
        assert np.allclose(rewards_a, rewards_b) and rewards_a.dtype == np.float32
        assert (dones_a == dones_b).all()
        for a, b, done in zip(infos_a, infos_b, dones_a, strict=True):
            if not done:
                assert a == {}
                continue
            ended += 1
            for key in (
                "terminal_observation",
                "TimeLimit.truncated",
                "prompt",
                "completion",
                "stop_reason",
                "reward_terms",
            ):
                if key == "terminal_observation":
                    assert all((a[key][k] == b[key][k]).all() for k in a[key])
                else:
                    assert a[key] == b[key]
            assert a["episode"]["r"] == b["episode"]["r"] and a["episode"]["l"] == b["episode"]["l"]
        observations = obs_a, obs_b
    assert ended > 10


def test_seed_option_and_attributes(env_kwargs):
    venv = make_lm_vec_env("TextGen-v0", n_envs=3, env_kwargs=env_kwargs)
    venv.seed(5)
    first = venv.reset()["input_ids"]
    venv.seed(5)
    assert (venv.reset()["input_ids"] == first).all()
    venv.set_options({"indices": [1, 1, 1]})
    same = venv.reset()["input_ids"]
    assert (same == same[0]).all()
    assert venv.get_attr("num_envs") == [3, 3, 3] and venv.get_attr("num_envs", [0]) == [3]
    assert venv.env_is_wrapped(gym.Wrapper) == [False] * 3
    venv.close()


def test_per_row_results_are_shared_out(env_kwargs):
    env_kwargs["render_mode"] = "ansi"
    venv = make_lm_vec_env("TextGen-v0", n_envs=3, seed=0, env_kwargs=env_kwargs)
    venv.reset()
    texts = venv.env_method("render")
    assert len(texts) == 3 and all(isinstance(text, str) for text in texts)
    assert venv.env_method("render", indices=[1]) == [texts[1]]


def test_attributes_cannot_be_set_for_some_rows(env_kwargs):
    venv = make_lm_vec_env("TextGen-v0", n_envs=3, env_kwargs=env_kwargs)
    venv.set_attr("note", 3)
    assert venv.get_attr("note") == [3, 3, 3]
    with pytest.raises(ConfigurationError, match="share their attributes"):
        venv.set_attr("note", 4, indices=[0])


def test_errors_pass_through(env_kwargs):
    venv = make_lm_vec_env("TextGen-v0", n_envs=2, env_kwargs=env_kwargs)
    venv.reset()
    with pytest.raises(InvalidActionError, match="64"):
        venv.step(np.array([1, 64]))


class Shouting(gym.vector.VectorWrapper):
    """A wrapper with an attribute and methods of its own."""

    def __init__(self, env, note="outer"):
        super().__init__(env)
        self.note = note

    def action_masks(self):
        return ~self.env.action_masks()

    def shout(self):
        return "abc"


def test_wrapper_class(env_kwargs):
    venv = make_lm_vec_env(
        n_envs=3, env_kwargs=env_kwargs, wrapper_class=Shouting, wrapper_kwargs={"note": "mine"}, seed=0
    )
    assert venv.env_is_wrapped(Shouting) == [True] * 3 and venv.env_is_wrapped(Shouting, [1]) == [True]
    assert venv.env_is_wrapped(gym.wrappers.vector.RecordEpisodeStatistics) == [False] * 3
    assert venv.get_attr("note") == ["mine"] * 3
    assert venv.env_method("shout") == ["abc"] * 3  # a text is no batch of letters
    assert not np.stack(venv.env_method("action_masks")).any()
    assert venv.reset()["input_ids"].shape == (3, 13)


def test_attributes_are_found_through_all_wrappers(env_kwargs):
    def wrap(envs):
        return gym.wrappers.vector.RecordEpisodeStatistics(Shouting(envs))

    venv = make_lm_vec_env(n_envs=2, env_kwargs=env_kwargs, wrapper_class=wrap)
    assert venv.env_is_wrapped(Shouting) == [True, True]
    assert venv.get_attr("note") == ["outer"] * 2 and venv.env_method("shout", indices=[0]) == ["abc"]
    venv.set_attr("note", "changed")
    shouting = venv.venv.envs.env
    assert shouting.note == "changed" and not hasattr(shouting.unwrapped, "note")
    assert venv.has_attr("single_action_space") and not venv.has_attr("nothing")
    venv.set_attr("nothing", 1)
    assert shouting.unwrapped.nothing == 1
    with pytest.raises(AttributeError, match="no_such_method"):
        venv.env_method("no_such_method")


def test_a_wrapper_that_returns_something_else(env_kwargs):
    with pytest.raises(ConfigurationError, match=r"expected a gymnasium\.vector\.VectorEnv, got NoneType"):
        make_lm_vec_env(n_envs=2, env_kwargs=env_kwargs, wrapper_class=lambda envs: None)


def test_masks_as_sb3_contrib_asks_for_them(env_kwargs):
    masking = pytest.importorskip("sb3_contrib.common.maskable.utils")
    venv = make_lm_vec_env(n_envs=3, env_kwargs={**env_kwargs, "min_new_tokens": 2}, seed=0)
    assert masking.is_masking_supported(venv)
    obs = venv.reset()
    masks = masking.get_action_masks(venv)
    assert masks.shape == (3, 64) and (~masks).sum() == 3 and not masks[:, 1].any()  # 1 is the end of text
    assert (obs["action_mask"] == masks).all()
    wrapped = make_lm_vec_env(n_envs=3, env_kwargs=env_kwargs, wrapper_class=Shouting)
    assert masking.is_masking_supported(wrapped) and not masking.get_action_masks(wrapped).any()


@pytest.mark.parametrize("n_envs", [0, -1, "4", 1.5])
def test_number_of_environments(n_envs):
    with pytest.raises(ConfigurationError, match="n_envs must be an integer of at least 1"):
        make_lm_vec_env(n_envs=n_envs)


def test_mistaken_arguments(env_kwargs):
    with pytest.raises(ConfigurationError, match="seed must be an integer or None; got 'a'"):
        make_lm_vec_env(env_kwargs=env_kwargs, seed="a")
    with pytest.raises(
        ConfigurationError, match=r"expected a gymnasium\.vector\.VectorEnv, got RecordEpisodeStatistics"
    ):
        make_lm_vec_env(env_kwargs=env_kwargs, wrapper_class=gym.wrappers.RecordEpisodeStatistics)
    with pytest.raises(UnknownNameError, match="environment 'datset'. Did you mean 'dataset'"):
        make_lm_vec_env(env_kwargs={"datset": "x"})


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_environments_one_by_one_are_asked_for_what_only_they_have(env_kwargs, kind):
    mode = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
    kwargs = {**env_kwargs, "reward": "length", "min_new_tokens": 2}
    envs = gym.make_vec("TextGen-v0", num_envs=3, vectorization_mode=kind, vector_kwargs=mode, **kwargs)
    venv = GymnasiumVecEnv(envs)
    batched = make_lm_vec_env(n_envs=3, env_kwargs=kwargs)
    try:
        for env in (venv, batched):
            env.seed(0)
            env.reset()
        assert np.array_equal(venv.env_method("action_masks"), batched.env_method("action_masks"))
        assert len(venv.env_method("action_masks", indices=[1, 2])) == 2
        assert venv.get_attr("action_space", [0]) == batched.get_attr("action_space", [0]) == [gym.spaces.Discrete(64)]
        if kind == "sync":  # workers of the other kind end with such an error
            with pytest.raises(AttributeError, match="no_such_attribute"):
                venv.get_attr("no_such_attribute")
    finally:
        venv.close()


def test_an_environment_that_resets_in_the_next_step_is_refused():
    with pytest.raises(ConfigurationError, match="SAME_STEP"):
        GymnasiumVecEnv(gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync"))


def test_a_gymnasium_environment_with_same_step_reset_is_bridged_too():
    envs = gym.make_vec(
        "CartPole-v1",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
    )
    venv = GymnasiumVecEnv(envs)
    venv.seed(0)
    obs = venv.reset()
    for _ in range(60):
        obs, _rewards, dones, infos = venv.step(np.ones(2, dtype=np.int64))
        for done, info in zip(dones, infos, strict=True):
            assert ("terminal_observation" in info) == done
    assert obs.shape == (2, 4)


class Counting(gym.Env):
    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return 0, {"begun": True}

    def step(self, action):
        self.t += 1
        return self.t, 0.0, self.t == 2, False, {"t": self.t}


def test_infos_of_all_steps_arrive():
    envs = gym.vector.SyncVectorEnv([Counting] * 2, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)
    venv = GymnasiumVecEnv(envs)
    venv.reset()
    assert [info["t"] for info in venv.step(np.zeros(2))[3]] == [1, 1]
    infos = venv.step(np.zeros(2))[3]
    assert [(info["t"], info["terminal_observation"], "begun" in info) for info in infos] == [(2, 2, False)] * 2
