"""Supervised learning of a policy from demonstrations, before reinforcement learning or in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch as th

from agents.baselines.shown_texts import shown_texts
from agents.evaluation.decisions import Decisions, pack_episodes
from agents.feedback.examples import Demonstration
from agents.networks.token_log_probs import token_log_probs
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.policies.nlpo_policy import LMNLPOPolicy
from lm_envs.errors import ConfigurationError
from lm_envs.models.same_size import same_size

MAX_GRAD_NORM = 1.0
SCORED_AT_ONCE = 64  # held-out episodes in one pass

OnStep = Callable[[int, int, float], None]
"""Told after each step: how many are done, how many there are, the batch's loss."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the demonstrations.

    Attributes:
        loss: Mean over the tokens of all batches while they were learned from, in nats a token.
        held_out: The loss on held-out demonstrations afterwards; None where none are held out.
    """

    loss: float
    held_out: float | None


@dataclass(frozen=True)
class WarmStart:
    """What :func:`warm_start` did.

    Attributes:
        n_learned: Demonstrations that were learned from.
        n_held_out: Demonstrations that were held out.
        n_cut: Texts that were longer than an episode, among both.
        n_tokens: Tokens that were learned from, repetitions included.
        before: The loss on held-out demonstrations before the first epoch, in nats a token; None where there are none.
        epochs: What each epoch brought.
        kept: Number of the epoch whose weights were kept, from 1; 0 for the weights of the start.
    """

    n_learned: int
    n_held_out: int
    n_cut: int
    n_tokens: int
    before: float | None
    epochs: list[Epoch] = field(default_factory=list)
    kept: int = 0

    @property
    def after(self) -> float | None:
        """The loss on held-out demonstrations with the weights that were kept; None where there are none."""
        return self.epochs[self.kept - 1].held_out if self.kept else self.before

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**dataclasses.asdict(self), "after": self.after}


def warm_start(
    policy: LMActorCriticPolicy,
    demonstrations: Sequence[Demonstration],
    env_kwargs: Mapping[str, Any] | None = None,
    *,
    epochs: int = 3,
    batch_size: int = 32,
    learning_rate: float | None = None,
    validation: float = 0.1,
    patience: int = 1,
    seed: int = 0,
    on_step: OnStep = lambda done, total, loss: None,
) -> WarmStart:
    """Train a policy to write what demonstrations show, by cross entropy of their tokens and of their end.

    Whole texts are learned from at once, in the policy's own networks. What is trained is what ``trainable`` says, of
    the actor alone; value head, critic and the optimizer of reinforcement learning stay as they are. The learning rate
    falls linearly to 0. After each epoch the loss on held-out demonstrations is measured; the best weights are kept.

    Args:
        policy: The policy; its actions are tokens. The masking policy of an :class:`~agents.LMNLPOPolicy` becomes a
            copy of what was learned.
        demonstrations: The texts.
        env_kwargs: Arguments of the ``TextGen-v0`` that the policy was made for; its room for prompt and completion.
        epochs: At most so many passes over the demonstrations.
        batch_size: Demonstrations in a batch.
        learning_rate: Of Adam, at the start; None for 1e-3 with ``tiny`` and what was made of it, 2e-4 for a low-rank
            change of another model, 2e-5 for its weights themselves.
        validation: Share of the prompts that is held out with all of their texts; 0 keeps the last epoch's weights.
        patience: Stop after so many epochs in a row without a new best.
        seed: Chooses what is held out, and the order.
        on_step: Told of each step.

    Raises:
        ConfigurationError: A number that cannot work, other actions than tokens, or a policy of other room.
        DataError: There is nothing to learn from.
    """
    _check(policy, epochs, batch_size, learning_rate, validation, patience)
    shown = shown_texts(demonstrations, policy.model_name, env_kwargs or {})
    _check_room(policy, shown.episodes)
    rng = np.random.default_rng(seed)
    is_held_out = _held_out(demonstrations, validation, rng)
    learned, held_out = ([e for e, out in zip(shown.episodes, is_held_out, strict=True) if out == w] for w in (0, 1))
    rate = _usual_rate(policy) if learning_rate is None else learning_rate
    fit = _Fit(policy, learned, held_out, batch_size, rate, epochs, rng, on_step)
    policy.set_training_mode(True)
    before, found, kept = fit.run(epochs, patience)
    policy.set_training_mode(False)
    if isinstance(policy, LMNLPOPolicy):
        policy.update_mask()
    n_tokens = len(found) * sum(map(len, learned))
    return WarmStart(len(learned), len(held_out), shown.n_cut, n_tokens, before, found, kept)


class _Fit:
    """The weights of an actor, an optimizer for them, and the best weights so far."""

    def __init__(
        self,
        policy: LMActorCriticPolicy,
        learned: Sequence[Decisions],
        held_out: Sequence[Decisions],
        batch_size: int,
        rate: float,
        epochs: int,
        rng: np.random.Generator,
        on_step: OnStep,
    ) -> None:
        self._policy = policy
        self._learned, self._held_out = learned, held_out
        self._n_batches = -(-len(learned) // batch_size)
        self._rng = rng
        self._on_step = on_step
        self._weights = _actor_weights(policy)
        self._optimizer = th.optim.Adam(self._weights, lr=rate)
        total = epochs * self._n_batches
        self._schedule = th.optim.lr_scheduler.LambdaLR(self._optimizer, lambda step: max(0.0, 1 - step / total))
        self._total, self._done = total, 0

    def run(self, epochs: int, patience: int) -> tuple[float | None, list[Epoch], int]:
        """The loss before, what each epoch brought, and the number of the one that was kept."""
        before = lowest = self._held_out_loss()
        best, kept = [weight.detach().clone() for weight in self._weights], 0
        found: list[Epoch] = []
        while len(found) < epochs and (lowest is None or len(found) - kept < patience):
            found.append(Epoch(self._epoch(), self._held_out_loss()))
            now = found[-1].held_out
            if lowest is None or now is None or now < lowest:
                lowest, kept = now, len(found)
                best = [weight.detach().clone() for weight in self._weights]
        self._write(best)
        return before, found, kept

    def _epoch(self) -> float:
        total, count = 0.0, 0
        for batch in np.array_split(self._rng.permutation(len(self._learned)), self._n_batches):
            log_probs = self._log_probs([self._learned[i] for i in batch])
            loss = -log_probs.mean()
            self._optimizer.zero_grad()
            loss.backward()
            th.nn.utils.clip_grad_norm_(self._weights, MAX_GRAD_NORM)
            self._optimizer.step()
            self._schedule.step()
            self._policy.actor.mark_changed()
            self._done += 1
            self._on_step(self._done, self._total, float(loss.detach()))
            total, count = total + float(loss.detach()) * len(log_probs), count + len(log_probs)
        return total / count

    @th.no_grad()
    def _held_out_loss(self) -> float | None:
        """Nats a token; None where nothing is held out."""
        if not self._held_out:
            return None
        parts = [self._log_probs(part).double().sum() for part in _parts(self._held_out, SCORED_AT_ONCE)]
        return -float(sum(parts)) / sum(map(len, self._held_out))

    def _log_probs(self, episodes: Sequence[Decisions]) -> th.Tensor:
        """Log-probabilities ``(n,)`` of all tokens of some texts, whatever masks the policy acts with."""
        policy = self._policy
        packed, actions = pack_episodes(episodes, policy.device)
        hidden = policy._adapted(packed.transition_hidden(policy.actor))
        return token_log_probs(policy.output_layer, hidden, actions)[0]

    @th.no_grad()
    def _write(self, weights: Sequence[th.Tensor]) -> None:
        for weight, value in zip(self._weights, weights, strict=True):
            weight.copy_(value)
            weight.grad = None
        self._policy.actor.mark_changed()


def _actor_weights(policy: LMActorCriticPolicy) -> list[th.nn.Parameter]:
    adapter = [] if policy.adapter is None else list(policy.adapter.parameters())
    return [*(weight for _, weight in policy.actor.own_parameters()), *adapter]


def _parts(episodes: Sequence[Decisions], size: int) -> Iterator[Sequence[Decisions]]:
    return (episodes[start : start + size] for start in range(0, len(episodes), size))


def _held_out(demonstrations: Sequence[Demonstration], share: float, rng: np.random.Generator) -> list[bool]:
    """Whether each demonstration is held out: all of a prompt or none, and never all prompts."""
    prompts = list(dict.fromkeys(item.prompt for item in demonstrations))
    n_out = min(round(share * len(prompts)), len(prompts) - 1)
    out = {prompts[i] for i in rng.permutation(len(prompts))[:n_out]}
    return [item.prompt in out for item in demonstrations]


def _usual_rate(policy: LMActorCriticPolicy) -> float:
    if same_size(policy.model_name, "tiny"):
        return 1e-3
    return 2e-4 if policy.trainable in ("heads", "lora") else 2e-5


def _check(
    policy: LMActorCriticPolicy, epochs: int, batch_size: int, rate: float | None, validation: float, patience: int
) -> None:
    if not isinstance(policy, LMActorCriticPolicy) or policy.actions_are != "tokens":
        kind = getattr(policy, "actions_are", type(policy).__name__)
        raise ConfigurationError(
            f"demonstrations are texts, for an LMActorCriticPolicy that writes tokens; got {kind}."
        )
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name} must be an integer of at least 1; got {value!r}.")
    if rate is not None and not rate > 0:
        raise ConfigurationError(f"learning_rate must be above 0; got {rate}.")
    if not 0 <= validation < 1:
        raise ConfigurationError(f"validation is a share of the prompts, from 0 to below 1; got {validation}.")


def _check_room(policy: LMActorCriticPolicy, episodes: Sequence[Decisions]) -> None:
    longest = max(item.n_tokens for item in episodes)
    room = policy.observation_space["input_ids"].shape[0]  # type: ignore[index]
    if longest > room:
        raise ConfigurationError(
            f"the policy reads {room} tokens, a demonstration has {longest}. Pass the env_kwargs of the policy's own "
            "environment: task, max_prompt_tokens, max_new_tokens."
        )
