"""Stable-Baselines3 policies whose features, actor and critic are one pretrained language model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from agents.buffers.sequence_rollout_buffer import observation_tokens
from agents.networks.acting_caches import ActingCaches
from agents.networks.action_kinds import action_kind, number_of_actions
from agents.networks.action_logits import action_log_probs, action_logits, log_probs_of
from agents.networks.encoder import Encoder
from agents.networks.flat_parameters import FlatParameters
from agents.networks.heads import Choices, LabelChoices, PolicyAdapter, ValueHead
from agents.networks.kept_readings import caches_for
from agents.networks.language_model import LanguageModel
from agents.networks.q_heads import legal
from agents.networks.sequences import PackedSequences, pack_observations
from agents.networks.static_rollout import UNIFORM, StaticRollout, check_decode
from agents.networks.token_log_probs import best_tokens, sample_tokens
from agents.networks.trained_weights import trained_parameters
from agents.policies.arguments import check_context, check_model_name, optimizer_arguments
from agents.policies.compact_moments import save_moments_in_bfloat16
from agents.policies.trained_policy import TrainedPolicy
from agents.warn_once import warn_once
from lm_envs.errors import ConfigurationError
from lm_envs.inference.fast_linear import differentiable_twice
from lm_envs.inference.output_layer import OutputLayer

TokenObs = Mapping[str, th.Tensor]
LOWEST_LOGIT = -1e8  # probability exactly 0; minus infinity would make TRPO's divergence, and its gradient, no number


class LMActorCriticPolicy(TrainedPolicy, ActorCriticPolicy):
    """Actor-critic policy for token environments: a pretrained language model with a value head.

    PPO, A2C and other on-policy algorithms of Stable-Baselines3 train it unchanged. Rollouts keep keys and values in
    one cache slot per environment; updates evaluate whole sequences where the buffer is a
    :class:`~agents.SequenceRolloutBuffer`. With SB3's own buffers it works too, and recomputes every prefix.

    The distribution over actions is the language model's own (`Ziegler et al. 2019
    <https://arxiv.org/abs/1909.08593>`_), so training starts from the pretrained model's behaviour. The actions may
    be all tokens; the candidates of :class:`lm_envs.wrappers.CandidateActions`, with the model's distribution over
    them; or other choices, which get a small head, uniform at first. Where the actions are choices or labels, the model
    may be an encoder, such as BERT; a head for labels (``Tagging-v0``) reads the hidden state of the word at the cursor
    and the label before it, and a sentence goes through the model once per episode. Actions that the observation's
    ``action_mask`` forbids have probability 0.

    Args:
        observation_space: That of a token environment.
        action_space: ``Discrete``: the vocabulary, the candidates, or other choices.
        lr_schedule: Learning rate schedule, given by the algorithm.
        use_sde: Not supported; present because SB3 passes it.
        model: Alias, hub id or folder of a causal language model, or of an encoder where the actions are choices.
            Always a name, never the object: that is what keeps ``save`` and ``load`` working.
        trainable: ``"all"``; ``"top:N"``, the last N layers and the final norm; ``"lora"``, a low-rank adapter in the
            layers (`Hu et al. 2021 <https://arxiv.org/abs/2106.09685>`_), through ``peft``; or ``"heads"``, a low-rank
            change of the last hidden state and the value head. Frozen weights are shared in memory and left out of the
            zip; what Adam remembers of an adapter is saved in bfloat16.
        dtype: ``"float32"`` or ``"bfloat16"``: what the model computes in. Trained weights stay float32.
        temperature: Divides the logits, in rollouts and updates alike.
        value: ``"shared"``: the value head reads the actor's hidden states; ``"separate"``: the critic has a language
            model of its own, with ``"lora"`` a second adapter on the same weights.
        value_gradient: Whether the value loss also trains a shared language model; if not, it trains the head only.
        peft_config: For ``trainable="lora"``, arguments of ``peft.LoraConfig`` as a plain dict; by default
            ``dict(r=8, lora_alpha=16)`` on the layers that peft names for the architecture, queries and values. For all
            linear layers but the last ``target_modules="all-linear"``. No dropout: with it an action would have another
            probability in the update than in the rollout.
        quantization: ``"4bit"`` or ``"8bit"``: keep the frozen weights so, through bitsandbytes; for
            ``trainable="lora"`` or ``"heads"``.
        flat_parameters: For TRPO, which differentiates twice with respect to one tensor after another: let it find all
            that the actor trains as one tensor, see :class:`~agents.networks.flat_parameters.FlatParameters`. The same
            numbers, in a fraction of the time and memory. Where the language model itself is trained, in float32 only.
        decode: How rollouts run the steps in which every environment appends a token. ``"auto"``: on a GPU as one CUDA
            graph a step, where the model allows it, on a CPU as any other step; ``"eager"``: as any other step
            everywhere; ``"graph"``: as a CUDA graph, or an error; ``"static"``: with the shapes of the graph and
            without it, which tests compare on a CPU.
        optimizer_class: Optimizer for everything that is trained.
        optimizer_kwargs: Its keyword arguments, without the learning rate; by default ``eps=1e-5``, as in SB3, and
            ``fused=True`` for Adam and AdamW: one pass over the weights instead of ten.

    Raises:
        ConfigurationError: For an argument with an impossible value, or spaces of another kind of environment.
        MissingDependencyError: For ``"lora"`` peft is not installed, or for ``quantization`` bitsandbytes.
        ModelError: If the model cannot be used, has another vocabulary than the environment, or is too short.
    """

    _flat: FlatParameters | None = None

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
        flat_parameters: bool = False,
        decode: str = "auto",
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        check_model_name(model)
        check_decode(decode)
        _check_arguments(use_sde, temperature, value)
        if flat_parameters:
            _check_second_derivatives(dtype, trainable)
        self._max_tokens = observation_tokens(observation_space)
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            ortho_init=False,
            features_extractor_class=FlattenExtractor,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_arguments(optimizer_class, optimizer_kwargs, eps=1e-5),
        )
        self.model_name = model
        self.trainable = trainable
        self.dtype_name = dtype
        self.temperature = temperature
        self.value = value
        self.value_gradient = value_gradient
        self.peft_config = peft_config
        self.quantization = quantization
        self.flat_parameters = flat_parameters
        self.decode = decode
        self._build_language_models(lr_schedule)

    def _build(self, lr_schedule: Schedule) -> None:
        """Build nothing yet: SB3 calls this before the arguments of this class are stored."""

    def _build_language_models(self, lr_schedule: Schedule) -> None:
        self.actor = self._pretrained()
        self._caches = caches_for(self.actor, self.observation_space)
        n_actions = number_of_actions(self.action_space)
        self.actions_are = action_kind(self.actor, self.observation_space, n_actions)
        check_context(self.actor, self.model_name, self._max_tokens)
        self.choices = self._choice_head(n_actions) if self.actions_are == "choices" else None
        adapts = self.trainable == "heads" and self.choices is None
        self.adapter = PolicyAdapter(self.actor.hidden_size) if adapts else None
        self.critic = self._pretrained() if self.value == "separate" and self.trainable != "heads" else None
        if self.critic is not None:
            self.critic.share_frozen(self.actor)
        self.value_head = ValueHead(self.actor.hidden_size)
        self._static = self._static_rollout()
        trained = list(trained_parameters(self).values())
        self.optimizer = self.optimizer_class(trained, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]
        self.optimizer.register_step_post_hook(lambda *_: self._mark_changed())
        if self.trainable == "lora":
            save_moments_in_bfloat16(self.optimizer)

    def _choice_head(self, n_actions: int) -> Choices:
        assert isinstance(self.observation_space, spaces.Dict)
        head = LabelChoices if "labels" in self.observation_space.spaces else Choices
        return head(self.actor.hidden_size, n_actions)

    def _static_rollout(self) -> StaticRollout | None:
        """Static decode steps, for language models that read growing texts; None for others."""
        models = [model for model in (self.actor, self.critic) if isinstance(model, LanguageModel)]
        if models and isinstance(self._caches, ActingCaches) and (self.quantization is None or self.decode != "auto"):
            return StaticRollout(self, models, self._static_step, self.decode)
        if self.decode in ("static", "graph"):
            raise ConfigurationError(
                f"decode={self.decode!r} is for causal language models that append tokens; here texts stay the same "
                "while actions are chosen. Leave decode out."
            )
        return None

    def _mark_changed(self) -> None:
        for model in (self.actor, self.critic):
            if model is not None:
                model.mark_changed()

    @property
    def q_net(self) -> nn.Module:
        """What DQN asks its policy for.

        Raises:
            ConfigurationError: Always; this policy has none.
        """
        raise ConfigurationError(
            f"{type(self).__name__} has an actor and a critic, for PPO, A2C, TRPO and the like; DQN and QR-DQN "
            "need Q-values: DQN(agents.LMQPolicy, ...)."
        )

    quantile_net = q_net

    # -- acting -----------------------------------------------------------------------------------------------------

    def forward(self, obs: TokenObs, deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:  # type: ignore[override]
        """Choose an action for every environment; only tokens that are new since the last call are computed.

        Args:
            obs: ``input_ids`` and ``attention_mask``, each ``(n_envs, max_tokens)``, and what else there is.
            deterministic: Whether to take the most probable action instead of sampling.

        Returns:
            Actions ``(n_envs,)`` int64, values ``(n_envs,)`` float32, log-probabilities ``(n_envs,)`` float32. From a
            GPU that runs CUDA graphs they are on the host, where algorithms and buffers want them, in one transfer.
        """
        with th.no_grad():
            if self._static is not None and self._static.wanted(obs):
                results = self._static(obs, deterministic, self.temperature)
                if results is not None:
                    actions, values, log_prob = results
                    return actions, values, log_prob
            hidden = self._caches.last_hidden("rollout actor", self.actor, obs)
            actions, log_prob = self._choose(hidden, obs, deterministic)
            return actions, self._rollout_values(obs, hidden), log_prob

    def _predict(self, observation: TokenObs, deterministic: bool = False) -> th.Tensor:  # type: ignore[override]
        """Choose actions for ``predict()``, in slots of its own, so that a rollout under way keeps its slots."""
        with th.no_grad():
            hidden = self._caches.last_hidden("predict actor", self.actor, observation)
            return self._choose(hidden, observation, deterministic)[0]

    def _choose(
        self, hidden: th.Tensor, columns: TokenObs, deterministic: bool, uniform: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor]:
        logits = self._logits(hidden, columns)
        return best_tokens(logits) if deterministic else sample_tokens(logits, uniform=uniform)

    def _static_step(
        self, hidden: Sequence[th.Tensor], columns: TokenObs, deterministic: bool
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Actions, values and log-probabilities from the hidden states of the actor, and of the critic if there is one.

        All in here is recorded on a GPU: shapes must not depend on numbers, and nothing may be read back.
        """
        actions, log_prob = self._choose(hidden[0], columns, deterministic, columns[UNIFORM])
        return actions, self.value_head(hidden[-1]), log_prob

    def _rollout_values(self, obs: TokenObs, hidden: th.Tensor | None = None) -> th.Tensor:
        """Values ``(n,)`` in the rollout's slots, given the actor's hidden states where they are known."""
        if self.critic is not None:
            hidden = self._caches.last_hidden("rollout critic", self.critic, obs)
        elif hidden is None:
            hidden = self._caches.last_hidden("rollout actor", self.actor, obs)
        return self.value_head(hidden)

    def predict_values(self, obs: PackedSequences | TokenObs) -> th.Tensor:  # type: ignore[override]
        """Values ``(n,)`` float32 of observations; a batch of another size than the rollout's leaves slots alone."""
        self._leave_flat()
        model = self.actor if self.critic is None else self.critic
        if isinstance(obs, PackedSequences):
            return self.value_head(self._read_for_values(obs, model))
        n_rows = len(obs["input_ids"])
        static = self._static_values(obs)
        if static is not None:
            return static
        if n_rows > 1 and self._caches.holds("rollout actor", n_rows) and not th.is_grad_enabled():
            return self._rollout_values(obs)
        packed, order = pack_observations(obs)
        return self.value_head(self._read_for_values(packed, model)[order])

    def _read_for_values(self, packed: PackedSequences, model: LanguageModel | Encoder) -> th.Tensor:
        """Hidden states; without a graph where TRPO would drop the actor's gradients anyway."""
        graph = th.is_grad_enabled() and not (self.flat_parameters and model is self.actor)
        with th.set_grad_enabled(graph):
            return packed.transition_hidden(model)

    def _static_values(self, obs: TokenObs) -> th.Tensor | None:
        """Values ``(n,)`` in the slots of static steps, or None if the rollout does not use them."""
        if self._static is None or len(obs["input_ids"]) == 1 or th.is_grad_enabled() or not self._static.holds(obs):
            return None
        if not self._static.wanted(obs):
            return None
        results = self._static(obs, False, self.temperature, draws=False)
        return None if results is None else results[1].to(obs["input_ids"].device)

    def set_training_mode(self, mode: bool) -> None:
        """Expect changed weights from training, too: some algorithms write them without a trace (``param.data``)."""
        self._leave_flat()
        super().set_training_mode(mode)
        if self._static is not None:
            self._static.weights_may_have_moved()
        if mode:
            self._mark_changed()

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        """What ``to``, ``cuda`` and ``cpu`` call; tensors may lie elsewhere afterwards."""
        self._leave_flat()
        if self._static is not None:
            self._static.weights_may_have_moved()
        return super()._apply(*args, **kwargs)

    # -- learning ---------------------------------------------------------------------------------------------------

    def evaluate_actions(  # type: ignore[override]
        self, obs: PackedSequences | TokenObs, actions: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """Evaluate taken actions under the current weights.

        Args:
            obs: Whole sequences from a :class:`~agents.SequenceRolloutBuffer`, or a plain batch of observations.
            actions: ``(n,)`` int64.

        Returns:
            Values, log-probabilities and entropies, each ``(n,)`` float32.
        """
        self._leave_flat()
        packed, order = _as_packed(obs)
        hidden = packed.transition_hidden(self.actor)
        critic_hidden = hidden if self.critic is None else packed.transition_hidden(self.critic)
        if not self.value_gradient:
            critic_hidden = critic_hidden.detach()
        actions = actions.long().flatten()
        if order is not None:
            hidden, critic_hidden = hidden[order], critic_hidden[order]
        log_prob, entropy = self._evaluate(hidden, actions, _columns(obs))
        return self.value_head(critic_hidden), log_prob, entropy

    def _evaluate(self, hidden: th.Tensor, actions: th.Tensor, columns: TokenObs) -> tuple[th.Tensor, th.Tensor]:
        if self.choices is not None:
            return log_probs_of(self._logits(hidden, columns), actions)
        return action_log_probs(self.output_layer, self._adapted(hidden), actions, columns)

    def get_distribution(self, obs: PackedSequences | TokenObs) -> Distribution:  # type: ignore[override]
        """The distribution over actions, differentiable twice; ``n * n_actions`` float32 numbers."""
        if self.training and th.is_grad_enabled():
            _check_second_derivatives(self.dtype_name, self.trainable)
        if self.flat_parameters and self.training and th.is_grad_enabled():
            self._leave_flat()
            self._flat = FlatParameters(self, self._actor_parameters())
            logits = self._flat.call(self._distribution_logits, obs)
        else:
            if self._flat is not None:
                self._flat.write_back()  # TRPO tries steps along its direction
                self._mark_changed()
            logits = self._distribution_logits(obs)
        if "action_mask" in _columns(obs):  # normalised first: legal logits may be lower than the lowest one
            logits = logits.log_softmax(dim=1).masked_fill(logits.isneginf(), LOWEST_LOGIT)
        return CategoricalDistribution(logits.shape[1]).proba_distribution(logits)

    def _distribution_logits(self, obs: PackedSequences | TokenObs) -> th.Tensor:
        packed, order = _as_packed(obs)
        with sdpa_kernel(SDPBackend.MATH), differentiable_twice():  # for TRPO; no fused attention kernel can
            hidden = packed.transition_hidden(self.actor)
            return self._logits(hidden if order is None else hidden[order], _columns(obs))

    def _actor_parameters(self) -> dict[str, nn.Parameter]:
        """What the distribution depends on, of all that is trained."""
        others = ("critic.", "value_head.")
        return {name: each for name, each in trained_parameters(self).items() if not name.startswith(others)}

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters with gradients; in the middle of TRPO's update one tensor stands for all of the actor's.

        TRPO takes what has ``value`` in its name for the critic's, as the values of some models' attention.
        """
        found = (
            (name.replace("value", "val") if name.startswith("actor.") else name, each)
            for name, each in super().named_parameters(*args, **kwargs)
        )
        flat = self._flat
        if flat is None:
            return found
        rest = ((name, each) for name, each in found if not flat.holds(each))
        return itertools.chain([("flat_actor", flat.tensor)], rest)

    def _leave_flat(self) -> None:
        """Let the actor's own parameters be what is trained again, with the values that TRPO has found."""
        if self._flat is not None:
            self._flat.write_back()
            self._flat = None
            self._mark_changed()

    def _logits(self, hidden: th.Tensor, columns: TokenObs) -> th.Tensor:
        """Logits ``(n, n_actions)`` float32, minus infinity for illegal actions."""
        if self.choices is not None:
            return legal(self.choices(hidden, columns) / self.temperature, columns)
        return action_logits(self.output_layer, self._adapted(hidden), columns)

    @property
    def output_layer(self) -> OutputLayer:
        """The output layer at the policy's temperature."""
        assert isinstance(self.actor, LanguageModel)
        layer = self.actor.output_layer
        return OutputLayer(layer.weight, layer.bias, layer.scale / self.temperature, layer.softcap)

    def _adapted(self, hidden: th.Tensor) -> th.Tensor:
        return hidden if self.adapter is None or self.actor.adapter_is_off else self.adapter(hidden)

    # -- saving -----------------------------------------------------------------------------------------------------

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Trained weights only: frozen ones come back from the model's name."""
        self._leave_flat()
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load trained weights; see :class:`~agents.networks.trained_weights.TrainedWeights`."""
        self._leave_flat()
        return super().load_state_dict(*args, **kwargs)

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
            "peft_config": self.peft_config,
            "quantization": self.quantization,
            "flat_parameters": self.flat_parameters,
            "decode": self.decode,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }


def _as_packed(obs: PackedSequences | TokenObs) -> tuple[PackedSequences, th.Tensor | None]:
    """Sequences, and the indices that bring results back into the batch's order, if packing changed it."""
    if isinstance(obs, PackedSequences):
        return obs, None
    warn_once(
        "The rollout buffer yields single observations, so every prefix is computed anew. "
        "Pass rollout_buffer_class=SequenceRolloutBuffer to compute each sequence once."
    )
    return pack_observations(obs)


def _columns(obs: PackedSequences | TokenObs) -> TokenObs:
    """What observations hold beside tokens, in the batch's order."""
    return obs.columns if isinstance(obs, PackedSequences) else obs


def _check_arguments(use_sde: bool, temperature: float, value: str) -> None:
    if use_sde:
        raise ConfigurationError("use_sde=True is for continuous actions; token actions are discrete. Leave it False.")
    if not temperature > 0:
        raise ConfigurationError(
            f"temperature must be above 0; got {temperature}. For greedy actions call predict(deterministic=True)."
        )
    if value not in ("shared", "separate"):
        raise ConfigurationError(f"value must be 'shared' or 'separate'; got {value!r}.")


def _check_second_derivatives(dtype: str, trainable: str) -> None:
    if dtype != "float32" and trainable not in ("heads", "lora"):
        raise ConfigurationError(
            f"TRPO needs dtype='float32' where trainable={trainable!r}: in {dtype} the model computes with copies of "
            "what is trained, and TRPO would change the copies. Use float32, or train 'heads' or 'lora'."
        )
