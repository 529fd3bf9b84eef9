"""Stable-Baselines3 policies whose features, actor and critic are one pretrained language model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from agents.heads import PolicyAdapter, ValueHead
from agents.language_model import LanguageModel
from agents.sequence_rollout_buffer import observation_tokens
from agents.sequences import PackedSequences, pack_observations
from agents.token_log_probs import best_tokens, sample_tokens, token_log_probs
from agents.warn_once import warn_once
from lm_envs.errors import CheckpointError, ConfigurationError, ModelError
from lm_envs.inference.fast_linear import differentiable_twice
from lm_envs.inference.output_layer import OutputLayer
from lm_envs.inference.slot_cache import SlotCache

TokenObs = Mapping[str, th.Tensor]


class LMActorCriticPolicy(ActorCriticPolicy):
    """Actor-critic policy for token environments: a pretrained causal language model with a value head.

    PPO, A2C and other on-policy algorithms of Stable-Baselines3 train it unchanged. Rollouts keep keys and values in
    one cache slot per environment; updates evaluate whole sequences where the buffer is a
    :class:`~agents.SequenceRolloutBuffer`. With SB3's own buffers it works too, and recomputes every prefix.

    The distribution over actions is the language model's own (`Ziegler et al. 2019
    <https://arxiv.org/abs/1909.08593>`_), so training starts from the pretrained model's behaviour.

    Args:
        observation_space: That of a token environment.
        action_space: ``Discrete(vocab_size)``.
        lr_schedule: Learning rate schedule, given by the algorithm.
        use_sde: Not supported; present because SB3 passes it.
        model: Alias, hub id or folder of a causal language model. Always a name, never the object: that is what keeps
            ``save`` and ``load`` working.
        trainable: ``"all"``; ``"top:N"``, the last N layers and the final norm; or ``"heads"``, a low-rank change of
            the last hidden state and the value head. Frozen weights are shared in memory and left out of the zip.
        dtype: ``"float32"`` or ``"bfloat16"``: what the model computes in. Trained weights stay float32.
        temperature: Divides the logits, in rollouts and updates alike.
        value: ``"shared"``: the value head reads the actor's hidden states; ``"separate"``: the critic has a language
            model of its own.
        value_gradient: Whether the value loss also trains a shared language model; if not, it trains the head only.
        optimizer_class: Optimizer for everything that is trained.
        optimizer_kwargs: Its keyword arguments, without the learning rate; by default ``eps=1e-5``, as in SB3, and
            ``fused=True`` for Adam and AdamW: one pass over the weights instead of ten.

    Raises:
        ConfigurationError: For an argument with an impossible value, or spaces of another kind of environment.
        ModelError: If the model cannot be used, has another vocabulary than the environment, or is too short.
    """

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
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        _check_arguments(use_sde, model, temperature, value)
        self._max_tokens = observation_tokens(observation_space)
        if optimizer_kwargs is None and optimizer_class in (th.optim.Adam, th.optim.AdamW):
            optimizer_kwargs = {"eps": 1e-5, "fused": True}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            ortho_init=False,
            features_extractor_class=FlattenExtractor,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.model_name = model
        self.trainable = trainable
        self.dtype_name = dtype
        self.temperature = temperature
        self.value = value
        self.value_gradient = value_gradient
        self._caches: dict[tuple[str, str], SlotCache] = {}
        self._cached_version: int | None = None
        self._build_language_models(lr_schedule)

    def _build(self, lr_schedule: Schedule) -> None:
        """Build nothing yet: SB3 calls this before the arguments of this class are stored."""

    def _build_language_models(self, lr_schedule: Schedule) -> None:
        self.actor = LanguageModel(self.model_name, self.trainable, self.dtype_name)
        _check_fit(self.actor, self.model_name, self.action_space, self._max_tokens)
        self.adapter = PolicyAdapter(self.actor.hidden_size) if self.trainable == "heads" else None
        self.critic = (
            LanguageModel(self.model_name, self.trainable, self.dtype_name)
            if self.value == "separate" and self.trainable != "heads"
            else None
        )
        self.value_head = ValueHead(self.actor.hidden_size)
        trained = [parameter for _, parameter in self._trained_parameters()]
        self.optimizer = self.optimizer_class(trained, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]
        self.optimizer.register_step_post_hook(lambda *_: self._mark_changed())

    def _mark_changed(self) -> None:
        for model in (self.actor, self.critic):
            if model is not None:
                model.mark_changed()

    def _trained_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Names and tensors of everything that is trained and saved."""
        found: dict[str, nn.Parameter] = {}
        for prefix, module in self.named_children():
            own = module.own_parameters() if isinstance(module, LanguageModel) else module.named_parameters()
            found.update((f"{prefix}.{name}", parameter) for name, parameter in own if parameter.requires_grad)
        return list(found.items())

    # -- acting -----------------------------------------------------------------------------------------------------

    def forward(self, obs: TokenObs, deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:  # type: ignore[override]
        """Choose the next token of every environment; only tokens that are new since the last call are computed.

        Args:
            obs: ``input_ids`` and ``attention_mask``, each ``(n_envs, max_tokens)``.
            deterministic: Whether to take the most probable token instead of sampling.

        Returns:
            Actions ``(n_envs,)`` int64, values ``(n_envs,)`` float32, log-probabilities ``(n_envs,)`` float32.
        """
        with th.no_grad():
            hidden, critic_hidden = self._last_hidden(obs, "rollout")
            actions, log_prob = self._choose(hidden, deterministic)
            return actions, self.value_head(critic_hidden), log_prob

    def _predict(self, observation: TokenObs, deterministic: bool = False) -> th.Tensor:  # type: ignore[override]
        """Choose actions for ``predict()``, in slots of its own, so that a rollout under way keeps its slots."""
        with th.no_grad():
            hidden, _ = self._last_hidden(observation, "predict", critic=False)
            return self._choose(hidden, deterministic)[0]

    def _choose(self, hidden: th.Tensor, deterministic: bool) -> tuple[th.Tensor, th.Tensor]:
        logits = self.output_layer.logits(self._adapted(hidden))
        return best_tokens(logits) if deterministic else sample_tokens(logits)

    def predict_values(self, obs: PackedSequences | TokenObs) -> th.Tensor:  # type: ignore[override]
        """Values ``(n,)`` float32 of observations; a batch of another size than the rollout's leaves slots alone."""
        part = "actor" if self.critic is None else "critic"
        if isinstance(obs, PackedSequences):
            return self.value_head(obs.transition_hidden(getattr(self, part)))
        cache = self._caches.get(("rollout", part))
        if cache is not None and cache.n_slots == len(obs["input_ids"]) > 1 and not th.is_grad_enabled():
            return self.value_head(self._last_hidden(obs, "rollout")[1])
        packed, order = pack_observations(obs)
        return self.value_head(packed.transition_hidden(getattr(self, part))[order])

    def _last_hidden(self, obs: TokenObs, purpose: str, critic: bool = True) -> tuple[th.Tensor, th.Tensor]:
        """Hidden states ``(n, hidden_size)`` of actor and critic after each observation's last token, cached."""
        self._drop_stale_caches()
        ids, mask = obs["input_ids"], obs["attention_mask"]
        hidden = self.actor.last_hidden(self._cache(purpose, "actor", obs), ids, mask)
        if self.critic is None or not critic:
            return hidden, hidden
        return hidden, self.critic.last_hidden(self._cache(purpose, "critic", obs), ids, mask)

    def _cache(self, purpose: str, part: str, obs: TokenObs) -> SlotCache:
        ids = obs["input_ids"]
        cache = self._caches.get((purpose, part))
        if cache is None or cache.n_slots != len(ids) or cache.device != ids.device:
            cache = self._caches[purpose, part] = SlotCache(len(ids), ids.shape[1], ids.device)
        return cache

    def _drop_stale_caches(self) -> None:
        version = self.actor.version() + (0 if self.critic is None else self.critic.version())
        if version != self._cached_version:
            for cache in self._caches.values():
                cache.clear()
            self._cached_version = version

    def set_training_mode(self, mode: bool) -> None:
        """Expect changed weights from training, too: some algorithms write them without a trace (``param.data``)."""
        super().set_training_mode(mode)
        if mode:
            self._mark_changed()

    # -- learning ---------------------------------------------------------------------------------------------------

    def evaluate_actions(  # type: ignore[override]
        self, obs: PackedSequences | TokenObs, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Evaluate taken actions under the current weights.

        Args:
            obs: Whole sequences from a :class:`~agents.SequenceRolloutBuffer`, or a plain batch of observations.
            actions: ``(n,)`` int64 token ids.

        Returns:
            Values, log-probabilities and entropies, each ``(n,)`` float32.
        """
        packed, order = _as_packed(obs)
        hidden = packed.transition_hidden(self.actor)
        critic_hidden = hidden if self.critic is None else packed.transition_hidden(self.critic)
        if not self.value_gradient:
            critic_hidden = critic_hidden.detach()
        actions = actions.long().flatten()
        if order is not None:
            hidden, critic_hidden = hidden[order], critic_hidden[order]
        log_prob, entropy = token_log_probs(self.output_layer, self._adapted(hidden), actions)
        return self.value_head(critic_hidden), log_prob, entropy

    def get_distribution(self, obs: PackedSequences | TokenObs) -> Distribution:  # type: ignore[override]
        """The distribution over next tokens, differentiable twice; ``n * vocab_size`` float32 numbers."""
        packed, order = _as_packed(obs)
        with sdpa_kernel(SDPBackend.MATH), differentiable_twice():  # for TRPO; no fused attention kernel can
            hidden = packed.transition_hidden(self.actor)
            hidden = hidden if order is None else hidden[order]
            logits = self.output_layer.logits(self._adapted(hidden))
        return CategoricalDistribution(self.actor.vocab_size).proba_distribution(logits)

    @property
    def output_layer(self) -> OutputLayer:
        """The output layer at the policy's temperature."""
        layer = self.actor.output_layer
        return OutputLayer(layer.weight, layer.bias, layer.scale / self.temperature, layer.softcap)

    def _adapted(self, hidden: th.Tensor) -> th.Tensor:
        return hidden if self.adapter is None else self.adapter(hidden)

    # -- saving -----------------------------------------------------------------------------------------------------

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Trained weights only: frozen ones come back from the model's name."""
        names = dict(self._trained_parameters())
        full = super().state_dict(*args, **kwargs)
        return {name: full[name] for name in names}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load trained weights.

        Raises:
            CheckpointError: If names or shapes differ from this policy's; nothing is loaded then.
        """
        expected = dict(self._trained_parameters())
        wrong = sorted(set(expected) ^ set(state_dict)) if strict else []
        wrong += [
            name for name in expected.keys() & state_dict.keys() if expected[name].shape != state_dict[name].shape
        ]
        if wrong:
            raise CheckpointError(
                f"the checkpoint does not fit this policy (model={self.model_name!r}, trainable={self.trainable!r}, "
                f"value={self.value!r}): {len(wrong)} weights differ, for example {wrong[0]!r}. "
                "Load it with the policy_kwargs that it was saved with."
            )
        return super().load_state_dict(state_dict, strict=False, assign=assign)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "model": self.model_name,
            "trainable": self.trainable,
            "dtype": self.dtype_name,
            "temperature": self.temperature,
            "value": self.value,
            "value_gradient": self.value_gradient,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> LMActorCriticPolicy:
        """Copy trained weights and optimizer state; share frozen weights; start with empty caches."""
        twin = type(self)(**self._get_constructor_parameters()).to(self.device)
        memo[id(self)] = twin
        twin.load_state_dict(self.state_dict())
        twin.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        return twin


def _as_packed(obs: PackedSequences | TokenObs) -> tuple[PackedSequences, th.Tensor | None]:
    """Sequences, and the indices that bring results back into the batch's order, if packing changed it."""
    if isinstance(obs, PackedSequences):
        return obs, None
    warn_once(
        "The rollout buffer yields single observations, so every prefix is computed anew. "
        "Pass rollout_buffer_class=SequenceRolloutBuffer to compute each sequence once."
    )
    return pack_observations(obs)


def _check_arguments(use_sde: bool, model: Any, temperature: float, value: str) -> None:
    if use_sde:
        raise ConfigurationError("use_sde=True is for continuous actions; token actions are discrete. Leave it False.")
    if not isinstance(model, str):
        raise ConfigurationError(
            f"policy_kwargs['model'] must be a name, a hub id or a folder; got {type(model).__name__}. An object would "
            "be pickled into every checkpoint: save it with save_pretrained(folder) and pass the folder."
        )
    if not temperature > 0:
        raise ConfigurationError(
            f"temperature must be above 0; got {temperature}. For greedy actions call predict(deterministic=True)."
        )
    if value not in ("shared", "separate"):
        raise ConfigurationError(f"value must be 'shared' or 'separate'; got {value!r}.")


def _check_fit(actor: LanguageModel, name: str, action_space: spaces.Space, max_tokens: int) -> None:
    if not isinstance(action_space, spaces.Discrete):
        raise ConfigurationError(f"expected a Discrete action space, one action per token; got {action_space}.")
    if actor.vocab_size != action_space.n:
        raise ModelError(
            f"the policy's model {name!r} has {actor.vocab_size} tokens, the environment has {action_space.n}. Give "
            "the same model to both: make_lm_vec_env(..., env_kwargs=dict(model=NAME)) and "
            "policy_kwargs=dict(model=NAME)."
        )
    longest = getattr(actor.lm.config, "max_position_embeddings", None)
    if longest is not None and max_tokens > longest:
        raise ModelError(
            f"the environment's observations have {max_tokens} tokens, the model {name!r} reads at most {longest}. "
            "Lower max_prompt_tokens or max_new_tokens."
        )
