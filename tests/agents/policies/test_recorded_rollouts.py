"""What a GPU does when it repeats a graph, done on a CPU: the same operations on the same memory, without the code.

A recording that missed an input, a changed weight or a number of Python's would give other actions here.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch as th
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agents import LMActorCriticPolicy, SequenceRolloutBuffer, make_lm_vec_env
from agents.networks import static_rollout
from lm_envs.inference.static_decoding import StaticDecoding

PROMPTS = ["the good", "a bad was good", "is", "the the the a", "was the bad bad good is"]


class Tape(TorchDispatchMode):
    """Records operations with the tensors they read and wrote, and repeats them in the same memory."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.replays = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def replay(self):
        self.replays += 1
        for func, args, kwargs, result in self.calls:
            for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, th.Tensor) and old.data_ptr() != new.data_ptr():  # neither a view nor in place
                    old.copy_(new)


@pytest.fixture
def tapes(monkeypatch):
    """Rollouts on a CPU are recorded on tapes; the list of all."""
    made = []

    def new_tape():
        made.append(Tape())
        return made[-1]

    def decoding(models, n_slots, capacity, device, record):
        return StaticDecoding(models, n_slots, capacity, device, record=True)

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "CUDAGraph": new_tape, "graph": lambda tape, **_: tape, "graph_pool_handle": lambda: (0, 1),
        "Stream": lambda: stream, "current_stream": lambda *_: stream, "stream": lambda _: contextlib.nullcontext(),
        "device": lambda _: contextlib.nullcontext(),
    }.items():  # fmt: skip
        monkeypatch.setattr(th.cuda, name, value)
    monkeypatch.setattr(static_rollout, "StaticDecoding", decoding)
    return made


def make_model(folder, decode, algorithm=PPO, **policy_kwargs):
    venv = make_lm_vec_env(
        "TextGen-v0", n_envs=5, seed=0,
        env_kwargs={"model": folder, "dataset": PROMPTS * 5, "reward": "distinct", "max_prompt_tokens": 12,
                    "max_new_tokens": 6, "min_new_tokens": 2},
    )  # fmt: skip
    kwargs = {"n_epochs": 1} if algorithm is PPO else {}
    return algorithm(
        LMActorCriticPolicy, venv, n_steps=8, batch_size=20, seed=0, gamma=1.0, learning_rate=1e-3, device="cpu",
        rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": folder, "decode": decode, **policy_kwargs},
        **kwargs,
    )  # fmt: skip


def rollout(model):
    _, callback = model._setup_learn(10**6)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return {name: getattr(model.rollout_buffer, name).copy() for name in ("actions", "values", "log_probs", "returns")}


def assert_equal(mine, theirs):
    np.testing.assert_array_equal(mine["actions"], theirs["actions"])
    for name in ("values", "log_probs", "returns"):
        np.testing.assert_allclose(mine[name], theirs[name], atol=1e-3)


@pytest.mark.parametrize(
    "policy_kwargs", [{}, {"value": "separate"}, {"trainable": "heads"}, {"dtype": "bfloat16", "trainable": "top:1"}]
)
def test_a_recording_follows_inputs_and_weights(lm_folder, tapes, policy_kwargs):
    recorded, static = (make_model(lm_folder, "static", **policy_kwargs) for _ in range(2))
    made = []
    for model in (recorded, static):
        if model is static:
            model.policy._static._prepared = lambda obs, real=model.policy._static._prepared: unrecorded(real(obs))
        th.manual_seed(1)
        made.append([])
        for _ in range(3):
            made[-1].append(rollout(model))
            with th.no_grad():
                for parameter in model.policy.optimizer.param_groups[0]["params"]:
                    parameter.add_(0.01)
    for mine, theirs in zip(*made, strict=True):
        assert_equal(mine, theirs)
    assert len(tapes) == 1 and tapes[0].replays > 20
    assert (made[0][2]["values"] != 0).all()  # the value head was written into


def unrecorded(decoding):
    decoding._pool = None
    return decoding


def test_weights_that_an_algorithm_put_elsewhere_are_recorded_anew(lm_folder, tapes):
    """TRPO puts new tensors in the place of the weights."""
    recorded, eager = make_model(lm_folder, "static", TRPO), make_model(lm_folder, "eager", TRPO)
    recorded.learn(40)
    before = len(tapes)
    eager.policy.load_state_dict(recorded.policy.state_dict())
    made = []
    for model in (recorded, eager):
        model.set_env(make_model(lm_folder, "eager").env)
        th.manual_seed(2)
        model._last_obs = None
        made.append(rollout(model))
    assert_equal(*made)
    assert before == 1 and len(tapes) == 2


def test_settings_are_recorded_apart(lm_folder, tapes):
    model = make_model(lm_folder, "static")
    rollout(model)
    model.policy.temperature = 0.5
    th.manual_seed(3)
    mine = rollout(model)
    assert len(tapes) == 2
    for sample in model.rollout_buffer.get(20):
        _, log_prob, _ = model.policy.evaluate_actions(sample.observations, sample.actions)
        assert th.allclose(log_prob, sample.old_log_prob, atol=1e-4)
    assert np.isfinite(mine["log_probs"]).all()
