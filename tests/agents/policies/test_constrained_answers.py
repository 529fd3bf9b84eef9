"""Answers that can only be choices, from policies that want anything but these; and the first update after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch as th
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from agents import (
    LMActorCriticPolicy,
    LMMaskableActorCriticPolicy,
    LMQPolicy,
    MaskableSequenceRolloutBuffer,
    SequenceReplayBuffer,
    SequenceRolloutBuffer,
    make_lm_vec_env,
)
from lm_envs.inference.output_layer import OutputLayer
from lm_envs.models import load_tokenizer

# one choice is the beginning of another, characters share their first bytes, words their first tokens
CHOICES = [
    ["red", "red lamp", "red lamp post", "blue lamp"],
    ["1", "10", "100", "1000", "2"],
    ["é", "è", "éé", "café", "cafés", "cafè"],
    ["日", "日本", "日本語", "本"],
    ["🙂", "🙃", "🙂🙃", "👩‍👩‍👧"],
    ["a", "an", "A", "the", "The", "."],
    ["yes", "no"],
]
ROWS = [
    {"question": f"{len(choices)}?", "choices": choices, "answer": n, "split": "train"}
    for choices in CHOICES
    for n in range(len(choices))
]
N_ENVS = 64
N_STEPS = 160  # together more than 10,000


@cache
def tokens_of(choice: str) -> list[int]:
    return list(load_tokenizer("tiny")(f" {choice}", add_special_tokens=False)["input_ids"])


END = load_tokenizer("tiny").eos_token_id
LONGEST = max(len(tokens_of(choice)) for choices in CHOICES for choice in choices)
USED = sorted({END, *(token for choices in CHOICES for choice in choices for token in tokens_of(choice))})


def make_venv(n_envs: int = N_ENVS, **env_kwargs: Any) -> Any:
    kwargs = {"dataset": ROWS, "dataset_kwargs": {"template": "{question}"}, "max_prompt_tokens": 8}
    env_kwargs = {**kwargs, "constrain": True, "max_new_tokens": LONGEST, **env_kwargs}
    return make_lm_vec_env("QA-v0", n_envs=n_envs, seed=0, env_kwargs=env_kwargs)


def legal_tokens(written: list[int], choices: tuple[str, ...]) -> set[int]:
    """By definition: what goes on with a choice, and the end after a whole one."""
    paths = [[*tokens_of(choice), END] for choice in choices]
    return {path[len(written)] for path in paths if path[: len(written)] == written and len(path) > len(written)}


def watched(venv: Any, choose: Any, n_steps: int = N_STEPS) -> Iterator[tuple[Any, np.ndarray]]:
    """Step with ``choose(obs)``; fails at an illegal action, and at an answer that is no choice."""
    episodes = venv.unwrapped.envs.unwrapped._episodes
    written: list[list[int]] = [[] for _ in range(venv.num_envs)]
    obs = venv.reset()
    for _ in range(n_steps):
        actions = choose(obs)
        asked = [episodes._question(row).choices for row in range(venv.num_envs)]
        for row, action in enumerate(actions.tolist()):
            assert action in legal_tokens(written[row], asked[row]), (written[row], action, asked[row])
            written[row].append(action)
        yield obs, actions
        obs, _, dones, infos = venv.step(actions)
        for row in np.flatnonzero(dones):
            assert infos[row]["answer"] in asked[row] or infos[row]["stop_reason"] == "max_new_tokens"
            written[row] = []


class Hostile:
    """Logits of a policy that puts next to all of its mass on tokens that are never legal."""

    def __init__(self, worst: float) -> None:
        self.worst = worst
        self.never = th.ones(2048, dtype=th.bool)
        self.never[USED] = False

    def __call__(self, layer: OutputLayer, logits: th.Tensor) -> th.Tensor:
        noise = (
            th.sin(th.arange(logits.shape[-1]) * 12.9898 + logits[..., :1] * 78.233) * 1e4
        )  # the same when asked again
        return (logits.float() + noise).masked_fill(self.never, self.worst) * layer.scale


@pytest.fixture
def turn_hostile(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes every output layer hostile; to be called when the policy is built, which compares logits."""

    def turn(worst: float) -> None:
        wants = Hostile(worst)
        monkeypatch.setattr(OutputLayer, "finish", lambda layer, logits: wants(layer, logits))

    return turn


POLICIES = {
    "plain": {},
    "bfloat16": {"dtype": "bfloat16"},
    "cold": {"temperature": 1e-3},
    "hot": {"temperature": 100.0},
}


def make_policy(venv: Any, policy_class: Any = LMActorCriticPolicy, **kwargs: Any) -> Any:
    return policy_class(venv.observation_space, venv.action_space, lambda _: 0.0, model="tiny", **kwargs)


def check_acting(policy: Any, venv: Any, n_steps: int = N_STEPS) -> None:
    """Samples, best actions and ``predict`` in turn; probabilities of what is illegal are exactly 0."""
    turn = 0

    def choose(obs: Any) -> np.ndarray:
        nonlocal turn
        turn += 1
        if turn % 4 == 0:
            return np.asarray(policy.predict(obs, deterministic=turn % 8 == 0)[0])
        tensors, _ = policy.obs_to_tensor(obs)
        actions, values, log_prob = policy(tensors, deterministic=turn % 4 == 1)
        assert log_prob.isfinite().all() and values.isfinite().all()
        return np.asarray(actions)

    for number, (obs, actions) in enumerate(watched(venv, choose, n_steps)):
        if number % 40 == 39:
            check_probabilities(policy, obs, actions)


def check_probabilities(policy: Any, obs: Any, actions: np.ndarray) -> None:
    tensors, _ = policy.obs_to_tensor(obs)
    with th.no_grad():
        illegal = tensors["action_mask"] == 0
        distribution = policy.get_distribution(tensors)
        probabilities = distribution.distribution.probs
        assert (probabilities[illegal] == 0.0).all() and th.allclose(probabilities.sum(dim=1), th.ones(len(actions)))
        assert (tensors["action_mask"].gather(1, distribution.sample()[:, None]) == 1).all()
        _, log_prob, entropy = policy.evaluate_actions(tensors, illegal.float().argmax(dim=1))
        assert (log_prob.exp() == 0.0).all() and entropy.isfinite().all() and (entropy >= -1e-5).all()
        _, log_prob, _ = policy.evaluate_actions(tensors, th.as_tensor(actions))
        assert log_prob.isfinite().all()


@pytest.mark.parametrize("variant", POLICIES)
def test_random_and_best_samples_are_legal(variant: str) -> None:
    venv = make_venv()
    check_acting(make_policy(venv, trainable="heads", **POLICIES[variant]), venv)


@pytest.mark.parametrize(("variant", "worst"), [*((name, 1e30) for name in POLICIES), ("plain", float("inf"))])
def test_a_hostile_policy_is_held_to_the_choices(
    turn_hostile: Callable[[float], None], variant: str, worst: float
) -> None:
    venv = make_venv()
    policy = make_policy(venv, trainable="heads", **POLICIES[variant])
    turn_hostile(worst)
    check_acting(policy, venv)


def test_probabilities_are_zero_at_any_temperature(turn_hostile: Callable[[float], None]) -> None:
    venv = make_venv(8)
    policy = make_policy(venv, trainable="heads", temperature=1e-7)  # legal logits far below any fixed lowest one
    turn_hostile(1e30)
    tensors, _ = policy.obs_to_tensor(venv.reset())
    illegal = tensors["action_mask"] == 0
    probabilities = policy.get_distribution(tensors).distribution.probs
    assert (probabilities[illegal] == 0.0).all() and th.allclose(probabilities.sum(dim=1), th.ones(8))


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("exploration", ["greedy", "softmax", "lm"])
def test_values_are_compared_among_legal_tokens(
    turn_hostile: Callable[[float], None], exploration: str, hostile: bool
) -> None:
    venv = make_venv()
    policy = make_policy(venv, LMQPolicy, trainable="heads", exploration=exploration, exploration_rate=0.5)
    if hostile:
        turn_hostile(1e30)
    turns = iter(range(N_STEPS))
    for _ in watched(venv, lambda obs: np.asarray(policy.predict(obs, deterministic=next(turns) % 4 == 0)[0])):
        pass


class Legal(BaseCallback):
    """Counts actions that were illegal in the observation before them."""

    def _on_training_start(self) -> None:
        self.n_illegal = self.n_seen = 0

    def _on_step(self) -> bool:
        masks = self.model._last_obs["action_mask"]  # type: ignore[index, call-overload]
        actions = np.asarray(self.locals["actions"]).flatten()
        self.n_illegal += int((masks[np.arange(len(actions)), actions] == 0).sum())
        self.n_seen += len(actions)
        return True


@pytest.mark.parametrize("buffer", [SequenceReplayBuffer, DictReplayBuffer])
@pytest.mark.parametrize("exploration", ["softmax", "lm"])
def test_dqn_explores_among_legal_tokens_where_its_policy_explores(exploration: str, buffer: Any) -> None:
    model = DQN(
        LMQPolicy, make_venv(16), replay_buffer_class=buffer, buffer_size=4096, learning_starts=0, train_freq=16,
        exploration_initial_eps=0.0, exploration_final_eps=0.0, device="cpu", seed=0,
        policy_kwargs={"model": "tiny", "trainable": "heads", "exploration": exploration, "exploration_rate": 0.5},
    )  # fmt: skip
    callback = Legal()
    model.learn(2000, callback)
    assert callback.n_seen >= 2000 and callback.n_illegal == 0


def test_what_epsilon_draws_does_not_look_at_masks_and_is_worth_nothing() -> None:
    model = DQN(
        LMQPolicy, make_venv(16), buffer_size=4096, learning_starts=400, train_freq=16, seed=0, device="cpu",
        policy_kwargs={"model": "tiny", "trainable": "heads"},
    )  # fmt: skip
    callback = Legal()
    model.learn(400, callback)
    assert callback.n_illegal > 300  # SB3 draws from the action space
    assert np.mean([info["r"] for info in model.ep_info_buffer or ()]) < 0.1


BUFFERS = {
    PPO: [SequenceRolloutBuffer, None],
    MaskablePPO: [MaskableSequenceRolloutBuffer, None],
}


@pytest.mark.parametrize("actions", ["constrained tokens", "choice"])
@pytest.mark.parametrize(
    ("algorithm", "buffer"), [(algorithm, buffer) for algorithm, buffers in BUFFERS.items() for buffer in buffers]
)
@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_the_first_ratio_is_one(algorithm: Any, buffer: Any, actions: str, temperature: float) -> None:
    kwargs = {"constrain": False, "actions": "choice"} if actions == "choice" else {}
    model = algorithm(
        LMMaskableActorCriticPolicy if algorithm is MaskablePPO else LMActorCriticPolicy, make_venv(16, **kwargs),
        n_steps=16, batch_size=64, n_epochs=1, seed=0, rollout_buffer_class=buffer, device="cpu",
        policy_kwargs={"model": "tiny", "temperature": temperature},
    )  # fmt: skip
    _, callback = model._setup_learn(10**6, None)
    for _ in range(2):
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        for sample in model.rollout_buffer.get(64):
            masks = {"action_masks": sample.action_masks} if hasattr(sample, "action_masks") else {}
            _, log_prob, _ = model.policy.evaluate_actions(sample.observations, sample.actions.flatten(), **masks)
            ratio = (log_prob - sample.old_log_prob).exp()
            assert (ratio - 1).abs().max() < 1e-4 and sample.old_log_prob.isfinite().all()


def test_the_first_ratio_is_one_in_the_algorithms_own_update() -> None:
    """With one batch and one epoch the whole update happens at ratio 1: no clipping, no divergence."""
    model = PPO(
        LMActorCriticPolicy, make_venv(16), n_steps=16, batch_size=256, n_epochs=1, seed=0, device="cpu",
        rollout_buffer_class=SequenceRolloutBuffer, policy_kwargs={"model": "tiny"},
    )  # fmt: skip
    model.learn(256)
    logged = model.logger.name_to_value
    assert logged["train/clip_fraction"] == 0 and abs(logged["train/approx_kl"]) < 1e-6


@pytest.mark.parametrize("policy_class", ["MultiInputPolicy", LMMaskableActorCriticPolicy])
def test_maskable_ppo_chooses_among_the_choices(policy_class: Any) -> None:
    venv = make_venv(16, constrain=False, actions="choice")
    kwargs = {} if policy_class == "MultiInputPolicy" else {"policy_kwargs": {"model": "tiny", "trainable": "heads"}}
    model = MaskablePPO(policy_class, venv, n_steps=32, batch_size=128, seed=0, device="cpu", **kwargs)
    callback = Legal()
    model.learn(1024, callback)
    assert callback.n_seen == 1024 and callback.n_illegal == 0
