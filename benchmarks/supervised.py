"""Learning from labels what policies otherwise learn from rewards: their own cross entropy, their own optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3.common.policies import BasePolicy

import lm_envs  # noqa: F401 - registers the environments
from agents.evaluation.decisions import DecisionLog, Decisions, pack_episodes
from agents.networks.q_heads import legal
from agents.networks.sequences import PackedSequences
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.policies.q_policy import LMQPolicy
from lm_envs.environment_configs import config_class

BATCH = 64
MAX_GRAD_NORM = 1.0

Policy = LMActorCriticPolicy | LMQPolicy


class Always(BasePolicy):
    """Takes the same action everywhere.

    Args:
        like: A policy with the same observations and actions.
        action: The action.
    """

    def __init__(self, like: BasePolicy, action: int) -> None:
        super().__init__(like.observation_space, like.action_space)
        self.action = action

    def _predict(self, observation: Any, deterministic: bool = False) -> th.Tensor:
        return th.full((len(observation["input_ids"]),), self.action)


def gold_actions(env_id: str, env_kwargs: Mapping[str, Any]) -> list[list[int]]:
    """The right actions of each episode that a split has, one or one for each word.

    Args:
        env_id: ``"QA-v0"``, where each question has choices, or ``"Tagging-v0"``.
        env_kwargs: The environment's arguments, perhaps ``split`` among them.
    """
    config = config_class(env_id)(**env_kwargs)
    if env_id == "QA-v0":
        questions = config.load_questions()
        asked = (questions[number] for number in range(len(questions)))
        return [[question.choices.index(question.answers[0])] for question in asked]
    tagged = config.load_sentences()
    return [[tagged.scheme.labels.index(label) for label in sentence.labels] for sentence in tagged.sentences]


def demonstrations(env_id: str, env_kwargs: Mapping[str, Any], gold: Sequence[Sequence[int]]) -> list[Decisions]:
    """What is observed by an agent that takes the right actions, with these actions.

    Args:
        env_id: The environment.
        env_kwargs: Its arguments.
        gold: The actions of the first episodes of the split.
    """
    shown: list[Decisions] = []
    for start in range(0, len(gold), BATCH):
        actions = gold[start : start + BATCH]
        indices = np.arange(start, start + len(actions))
        envs = gym.make_vec(env_id, num_envs=len(indices), vectorization_mode="vector_entry_point", **env_kwargs)
        obs, _ = envs.reset(seed=0, options={"indices": indices})
        log = DecisionLog(envs.single_observation_space)  # type: ignore[arg-type]
        found: dict[int, Decisions] = {}
        for step in range(max(map(len, actions))):
            chosen = np.array([row[min(step, len(row) - 1)] for row in actions])
            log.add(obs, chosen)
            found |= {number: log.of(number) for number, row in enumerate(actions) if step == len(row) - 1}
            obs = envs.step(chosen)[0]
        envs.close()
        shown += [found[number] for number in range(len(indices))]
    return shown


def fit(policy: Policy, shown: Sequence[Decisions], epochs: int, seed: int) -> int:
    """Train a policy to take the actions that are shown, by cross entropy.

    What is trained, its optimizer and the first learning rate are the policy's; the rate falls linearly to 0.

    Args:
        policy: The policy; of action values, the softmax of the values is trained.
        shown: Whole episodes.
        epochs: How often each is seen.
        seed: Of their order.

    Returns:
        How many actions were learned from, repetitions included.
    """
    rng = np.random.default_rng(seed)
    n_batches = -(-len(shown) // BATCH)
    batches = [part for _ in range(epochs) for part in np.array_split(rng.permutation(len(shown)), n_batches)]
    optimizer = policy.optimizer
    rates = [group["lr"] for group in optimizer.param_groups]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    policy.set_training_mode(True)
    for number, batch in enumerate(batches):
        packed, actions = pack_episodes([shown[i] for i in batch], policy.device)
        loss = -log_probs(policy, packed, actions).mean()
        optimizer.zero_grad()
        loss.backward()
        th.nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - number / len(batches))
        optimizer.step()
    policy.set_training_mode(False)
    return epochs * sum(map(len, shown))


def log_probs(policy: Policy, packed: PackedSequences, actions: th.Tensor) -> th.Tensor:
    """Log-probabilities ``(n,)`` of actions, of action values those of their softmax."""
    if isinstance(policy, LMActorCriticPolicy):
        return policy.evaluate_actions(packed, actions)[1]
    values = legal(policy.online(packed), packed.columns)
    return values.log_softmax(dim=1).gather(1, actions[:, None]).squeeze(1)
