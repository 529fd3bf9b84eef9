"""Natural Language Policy Optimization: actions out of the nucleus of a copy of the policy that lags behind."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.type_aliases import Schedule

from agents.networks.encoder import Encoder
from agents.networks.language_model import LanguageModel
from agents.networks.nucleus import nucleus_mask
from agents.networks.sequences import PackedSequences, pack_observations
from agents.networks.trained_model import TrainedModel
from agents.policies.actor_critic import LMActorCriticPolicy, TokenObs
from agents.warn_once import warn_once
from lm_envs.errors import ConfigurationError

UNRENEWED = 3
_NOT_TAKEN = ("decode", "flat_parameters")  # of the base class's arguments


class LMNLPOPolicy(LMActorCriticPolicy):
    """:class:`~agents.LMActorCriticPolicy` whose actions are drawn from the nucleus of a lagged copy of itself.

    With stock PPO this is NLPO (`Ramamurthy et al. 2023 <https://arxiv.org/abs/2210.01241>`_, algorithm 1): a masking
    policy, a copy of the policy that :class:`~agents.NLPOMaskCallback` renews every few rollouts, says which tokens
    are worth trying in a state, and all others have probability 0. Log-probabilities and entropies, in rollouts and
    updates alike, are those of the masked distribution, so that PPO's first ratio is 1. The nucleus is that of the
    masking policy's distribution at the policy's temperature, over candidates and legal actions where there are such.

    A divergence from the pretrained model, as :class:`~agents.ReferenceKLCallback` and evaluations measure it, is that
    of the masked distribution from the pretrained model's whole one: finite, since the pretrained model excludes
    nothing, and above 0 from the start, about ``-log(top_p)`` nats a token.

    The masking policy is saved with the policy and not trained by the optimizer; what is frozen is shared with it, and
    with ``trainable="heads"`` it is a second low-rank change. ``export_hf`` exports the policy and leaves the mask
    behind: ``generate(do_sample=True, top_p=0.9, top_k=0)`` then writes nearly as the policy does, with its own
    nucleus in the place of the copy's.

    Args:
        observation_space: See :class:`~agents.LMActorCriticPolicy`, as for all that is not explained here.
        action_space: ``Discrete``: the vocabulary or the candidates.
        lr_schedule: Learning rate schedule, given by the algorithm.
        use_sde: Not supported.
        model: Alias, hub id or folder of a causal language model.
        trainable: What of the language model is trained, and copied for the masking policy.
        dtype: ``"float32"`` or ``"bfloat16"``. In bfloat16 rollout and update round differently and may disagree on
            tokens at the nucleus's edge; such a token's ratio is then a little off 1.
        temperature: Divides the logits, those of the masking policy too.
        value: ``"shared"`` or ``"separate"``.
        value_gradient: Whether the value loss also trains a shared language model.
        peft_config: For ``trainable="lora"``, which copies the adapter alone, its arguments.
        quantization: ``"4bit"`` or ``"8bit"`` for the frozen weights under an adapter; None for ``dtype``.
        top_p: Probability that the nucleus reaches; 1 masks nothing.
        min_tokens_to_keep: So many of the most probable tokens are never masked.
        optimizer_class: Optimizer for everything that is trained.
        optimizer_kwargs: Its keyword arguments, without the learning rate.

    Raises:
        ConfigurationError: For an argument with an impossible value, or actions that are neither tokens nor candidates.
        MissingDependencyError: For ``"lora"`` peft is not installed, or for ``quantization`` bitsandbytes.
        ModelError: If the model cannot be used, has another vocabulary than the environment, or is too short.
    """

    _trainings: float = 0

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        model: str = "tiny",
        trainable: str = "all",
        dtype: str = "float32",
        temperature: float = 1.0,
        value: str = "shared",
        value_gradient: bool = True,
        peft_config: dict[str, Any] | None = None,
        quantization: str | None = None,
        top_p: float = 0.9,
        min_tokens_to_keep: int = 1,
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        _check_nucleus(top_p, min_tokens_to_keep)
        self.top_p = top_p
        self.min_tokens_to_keep = min_tokens_to_keep
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            use_sde,
            model=model,
            trainable=trainable,
            dtype=dtype,
            temperature=temperature,
            value=value,
            value_gradient=value_gradient,
            peft_config=peft_config,
            quantization=quantization,
            decode="eager",  # how large a nucleus is decides what is computed next: no step of static shape
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build_language_models(self, lr_schedule: Schedule) -> None:
        super()._build_language_models(lr_schedule)
        if self.actions_are == "choices":
            raise ConfigurationError(
                f"LMNLPOPolicy masks tokens; here the actions are {self.action_space.n} choices of another kind. "  # type: ignore[attr-defined]
                "Use LMActorCriticPolicy."
            )
        self.masking_model = self._masking_model()  # after the optimizer was made, which must not know it
        self.masking_adapter = copy.deepcopy(self.adapter)
        self.update_mask()
        self._trainings = 0  # how often, while nobody has renewed the mask

    def _masking_model(self) -> LanguageModel | Encoder | None:
        """A second language model that shares what is frozen; None where all is."""
        if not self.actor.own_parameters():
            return None
        twin = self._pretrained()
        twin.share_frozen(self.actor)
        return twin

    def set_training_mode(self, mode: bool) -> None:
        """See :class:`LMActorCriticPolicy`; a masking policy that nobody renews is told of."""
        super().set_training_mode(mode)
        self._trainings += mode
        if self._trainings == UNRENEWED:
            warn_once(
                f"The policy was trained {UNRENEWED} times, and its masking policy is still the pretrained model: for "
                "NLPO pass callback=NLPOMaskCallback() to learn()."
            )

    def expect_renewals(self) -> None:
        """Know that somebody renews the masking policy, if not at once."""
        self._trainings = -math.inf

    @th.no_grad()
    def update_mask(self) -> None:
        """Make the masking policy a copy of the policy as it is now."""
        self.expect_renewals()
        if self.masking_adapter is not None and self.adapter is not None:
            self.masking_adapter.load_state_dict(self.adapter.state_dict())
        if self.masking_model is not None:
            own_parameters = dict(self.actor.own_parameters())
            for name, parameter in self.masking_model.own_parameters():
                parameter.copy_(own_parameters[name])
            self.masking_model.mark_changed()

    # -- acting -----------------------------------------------------------------------------------------------------

    def forward(self, obs: TokenObs, deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:  # type: ignore[override]
        """See :meth:`LMActorCriticPolicy.forward`; actions are drawn from the nucleus."""
        return super().forward(self._acting_within_nucleus("rollout", obs), deterministic)

    def _predict(self, observation: TokenObs, deterministic: bool = False) -> th.Tensor:  # type: ignore[override]
        return super()._predict(self._acting_within_nucleus("predict", observation), deterministic)

    def _acting_within_nucleus(self, purpose: str, obs: TokenObs) -> TokenObs:
        """Observations whose ``action_mask`` also keeps to the nucleus; only new tokens are computed."""
        part = "actor" if self.masking_model is None else "mask"
        with th.no_grad():
            hidden = self._caches.last_hidden(f"{purpose} {part}", self._masking, obs)
        return {**obs, "action_mask": self._nucleus(hidden, obs)}

    # -- learning ---------------------------------------------------------------------------------------------------

    def evaluate_actions(  # type: ignore[override]
        self, obs: PackedSequences | TokenObs, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """See :meth:`LMActorCriticPolicy.evaluate_actions`; minus infinity for actions outside of the nucleus."""
        return super().evaluate_actions(self._within_nucleus(obs, actions.long().flatten()), actions)

    def get_distribution(self, obs: PackedSequences | TokenObs) -> Distribution:  # type: ignore[override]
        """See :meth:`LMActorCriticPolicy.get_distribution`; the masked distribution."""
        return super().get_distribution(self._within_nucleus(obs))

    @th.no_grad()
    def _within_nucleus(self, obs: PackedSequences | TokenObs, actions: th.Tensor | None = None) -> Any:
        """The same with an ``action_mask`` that also keeps to the nucleus, in one more pass over the sequences."""
        if isinstance(obs, PackedSequences):
            mask = self._nucleus(obs.transition_hidden(self._masking), obs.columns, actions)
            return replace(obs, columns={**obs.columns, "action_mask": mask})
        packed, order = pack_observations(obs)
        return {**obs, "action_mask": self._nucleus(packed.transition_hidden(self._masking)[order], obs, actions)}

    # -- the masking policy -----------------------------------------------------------------------------------------

    @property
    def _masking(self) -> TrainedModel:
        return self.actor if self.masking_model is None else self.masking_model

    def _nucleus(self, hidden: th.Tensor, columns: Mapping[str, th.Tensor], actions: th.Tensor | None = None) -> Any:
        """The mask, given the masking model's hidden states ``(n, hidden_size)``."""
        assert isinstance(self._masking, LanguageModel)
        layer = self._masking.output_layer
        layer = replace(layer, scale=layer.scale / self.temperature)
        hidden = hidden if self.masking_adapter is None else self.masking_adapter(hidden)
        return nucleus_mask(layer, hidden, columns, self.top_p, self.min_tokens_to_keep, actions)

    # -- saving -----------------------------------------------------------------------------------------------------

    def _get_constructor_parameters(self) -> dict[str, Any]:
        own = {"top_p": self.top_p, "min_tokens_to_keep": self.min_tokens_to_keep}
        others = super()._get_constructor_parameters()
        return {**{name: value for name, value in others.items() if name not in _NOT_TAKEN}, **own}


def _check_nucleus(top_p: float, min_tokens: int) -> None:
    if not 0 < top_p <= 1:
        raise ConfigurationError(
            f"top_p must be above 0 and at most 1, which masks nothing; got {top_p}. Ramamurthy et al. use 0.9."
        )
    if isinstance(min_tokens, bool) or not isinstance(min_tokens, int) or min_tokens < 1:
        raise ConfigurationError(f"min_tokens_to_keep must be an integer of at least 1; got {min_tokens!r}.")
