"""The Stable-Baselines3 policy whose Q-network is a pretrained language model."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule

from agents.buffers.sequence_rollout_buffer import observation_tokens
from agents.networks.encoder import Encoder
from agents.networks.kept_readings import caches_for
from agents.networks.language_model import LanguageModel
from agents.networks.q_heads import legal
from agents.networks.q_network import LMQNetwork, TokenObs
from agents.networks.sequences import PackedSequences
from agents.networks.token_log_probs import sample_tokens
from agents.policies.arguments import check_context, check_model_name, optimizer_arguments
from agents.policies.compact_moments import save_moments_in_bfloat16
from agents.policies.trained_policy import TrainedPolicy
from lm_envs.errors import ConfigurationError, UnknownNameError

EXPLORATIONS = ("greedy", "softmax", "lm")


class LMQPolicy(TrainedPolicy):
    """Q-network policy for token environments: a pretrained language model with value heads.

    ``DQN`` of Stable-Baselines3 and ``QRDQN`` of sb3-contrib train it unchanged. Online and target network share all
    frozen weights. With a :class:`~agents.SequenceReplayBuffer` updates evaluate whole sequences; with SB3's own
    buffers it works too, and recomputes every prefix. Acting keeps keys and values in one cache slot per environment;
    a gradient step that changes the language model empties it, so collect whole episodes between updates
    (``train_freq``).

    The actions may be all tokens, the candidates of :class:`lm_envs.wrappers.CandidateActions` or other choices, for
    which the model may be an encoder, such as BERT: see :class:`~agents.networks.q_network.LMQNetwork`.

    Args:
        observation_space: That of a token environment.
        action_space: ``Discrete``.
        lr_schedule: Learning rate schedule, given by the algorithm.
        model: Alias, hub id or folder of a causal language model, or of an encoder where the actions are choices.
            Always a name, never the object.
        trainable: ``"all"``; ``"top:N"``, the last N layers and the final norm; ``"lora"``, a low-rank adapter in the
            layers; or ``"heads"``, only what is put on top of the language model, which then runs once for both
            networks.
        dtype: ``"float32"`` or ``"bfloat16"``: what the model computes in. Trained weights stay float32.
        log_prob_scale: Value of a nat of log-probability at the start, in units of the reward.
        dueling: Advantages relative to the mean over actions
            (`Wang et al. 2016 <https://arxiv.org/abs/1511.06581>`_).
        double_q: The online network chooses the action that the target network values
            (`van Hasselt et al. 2016 <https://arxiv.org/abs/1509.06461>`_).
        n_quantiles: Number of quantiles, for QR-DQN (`Dabney et al. 2018 <https://arxiv.org/abs/1710.10044>`_);
            None for DQN.
        exploration: What is done where the algorithm's epsilon does not draw from the action space: ``"greedy"``;
            ``"softmax"``, actions drawn from the softmax of Q / ``exploration_temperature``; ``"lm"``, greedy but for
            a share ``exploration_rate`` of the actions, drawn from the pretrained model. Ignored where
            ``deterministic=True``.
        exploration_temperature: In units of the reward.
        exploration_rate: Probability, for each environment by itself.
        peft_config: Arguments of the adapter, see :class:`~agents.LMActorCriticPolicy`.
        quantization: ``"4bit"`` or ``"8bit"``, how frozen weights are kept; see there.
        optimizer_class: Optimizer for everything that is trained.
        optimizer_kwargs: Its keyword arguments, without the learning rate; by default ``fused=True`` for Adam and
            AdamW.
        use_sde: Not an argument of this policy; on-policy algorithms, which cannot use it, are told so by this name.

    Raises:
        ConfigurationError: For an argument with an impossible value, or spaces of another kind of environment.
        MissingDependencyError: For ``"lora"`` peft is not installed, or for ``quantization`` bitsandbytes.
        ModelError: If the model cannot be used, has another vocabulary than the environment, or is too short.
        UnknownNameError: For an unknown ``exploration``.

    References:
        Mnih et al. 2015, https://doi.org/10.1038/nature14236
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        model: str = "tiny",
        trainable: str = "all",
        dtype: str = "float32",
        log_prob_scale: float = 0.1,
        dueling: bool = False,
        double_q: bool = False,
        n_quantiles: int | None = None,
        exploration: str = "greedy",
        exploration_temperature: float = 0.1,
        exploration_rate: float = 0.1,
        peft_config: dict[str, Any] | None = None,
        quantization: str | None = None,
        optimizer_class: type[th.optim.Optimizer] = th.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
        use_sde: bool | None = None,
    ) -> None:
        if use_sde is not None:
            raise ConfigurationError(
                f"{type(self).__name__} has Q-values, for DQN and QR-DQN; on-policy algorithms (PPO, A2C, TRPO) "
                "need an actor and a critic: PPO(agents.LMActorCriticPolicy, ...)."
            )
        check_model_name(model)
        _check_numbers(log_prob_scale, n_quantiles, exploration, exploration_temperature, exploration_rate)
        self._max_tokens = observation_tokens(observation_space)
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_arguments(optimizer_class, optimizer_kwargs),
        )
        self.model_name = model
        self.trainable = trainable
        self.dtype_name = dtype
        self.log_prob_scale = log_prob_scale
        self.dueling = dueling
        self.double_q = double_q
        self.n_quantiles = n_quantiles
        self.exploration = exploration
        self.exploration_temperature = exploration_temperature
        self.exploration_rate = exploration_rate
        self.peft_config = peft_config
        self.quantization = quantization
        self._build(lr_schedule)

    def _build(self, lr_schedule: Schedule) -> None:
        own = self._pretrained()
        check_context(own, self.model_name, self._max_tokens)
        self._caches = caches_for(own, self.observation_space)
        self.online = self._network(own, is_target=False)
        self.target = self._network(self._twin(own), is_target=True)
        self.target.load_state_dict(self.online.state_dict())
        self.reference = self._reference(own)
        self.optimizer = self.optimizer_class(  # type: ignore[call-arg]
            list(self.online.parameters()), lr=lr_schedule(1), **self.optimizer_kwargs
        )
        self.optimizer.register_step_post_hook(lambda *_: self.online.lm.mark_changed())
        if self.trainable == "lora":
            save_moments_in_bfloat16(self.optimizer)

    def _twin(self, own: LanguageModel | Encoder) -> LanguageModel | Encoder:
        """The target network's language model: of its own in what is trained, else the online network's."""
        if not own.own_parameters():
            return own
        twin = self._pretrained()
        twin.share_frozen(own)
        return twin

    def _network(self, model: LanguageModel | Encoder, is_target: bool) -> LMQNetwork:
        network = _DoubleQTarget if is_target and self.double_q else LMQNetwork
        made = network(
            model,
            self.observation_space,
            self.action_space,
            scale=self.log_prob_scale,
            dueling=self.dueling,
            n_quantiles=self.n_quantiles,
            is_target=is_target,
        )
        if isinstance(made, _DoubleQTarget):
            made.choose_with(self.online)
        return made

    def _reference(self, own: LanguageModel | Encoder) -> LanguageModel | None:
        """The pretrained model, where exploration needs it and observations do not give it; with the adapter off."""
        if self.exploration != "lm" or self.online.actions_are == "candidates":
            return None
        if self.online.actions_are == "choices":
            raise ConfigurationError("exploration='lm' draws tokens from the language model; here actions are choices.")
        if isinstance(own, LanguageModel) and self.trainable in ("heads", "lora"):
            return own
        return LanguageModel(self.model_name, "heads", self.dtype_name)

    # -- what the algorithms look for -------------------------------------------------------------------------------

    @property
    def q_net(self) -> LMQNetwork:
        """The online network, for DQN."""
        return self._for_dqn(self.online)

    @property
    def q_net_target(self) -> LMQNetwork:
        """The target network, for DQN."""
        return self._for_dqn(self.target)

    @property
    def quantile_net(self) -> LMQNetwork:
        """The online network, for QR-DQN."""
        return self._for_qrdqn(self.online)

    @property
    def quantile_net_target(self) -> LMQNetwork:
        """The target network, for QR-DQN."""
        return self._for_qrdqn(self.target)

    def _for_dqn(self, network: LMQNetwork) -> LMQNetwork:
        if self.n_quantiles is not None:
            raise ConfigurationError("n_quantiles is for QRDQN; DQN predicts means. Leave it out of policy_kwargs.")
        return network

    def _for_qrdqn(self, network: LMQNetwork) -> LMQNetwork:
        if self.n_quantiles is None:
            raise ConfigurationError("QRDQN predicts quantiles: pass policy_kwargs=dict(..., n_quantiles=50).")
        return network

    def set_training_mode(self, mode: bool) -> None:
        """Put the networks in either mode, and expect changed weights."""
        self.online.set_training_mode(mode)
        self.target.set_training_mode(mode)
        self.training = mode

    # -- acting -----------------------------------------------------------------------------------------------------

    def forward(self, obs: TokenObs, deterministic: bool = True) -> th.Tensor:
        """Choose actions ``(n,)`` int64."""
        return self._predict(obs, deterministic)

    def _predict(self, observation: TokenObs, deterministic: bool = False) -> th.Tensor:  # type: ignore[override]
        """Choose actions ``(n,)`` int64; only tokens that are new since the last call are computed.

        Args:
            observation: ``input_ids`` and ``attention_mask``, each ``(n, max_tokens)``, and what else there is.
            deterministic: Whether to take the action of the highest value instead of exploring.
        """
        with th.no_grad():
            values = self.action_values(observation)
            greedy = values.argmax(dim=1)
            if deterministic or self.exploration == "greedy":
                return greedy
            if self.exploration == "softmax":
                return sample_tokens(values / self.exploration_temperature)[0]
            explores = th.rand(len(greedy), device=greedy.device) < self.exploration_rate
            return th.where(explores, self._from_language_model(observation), greedy) if explores.any() else greedy

    def action_values(self, obs: TokenObs) -> th.Tensor:
        """Values ``(n, n_actions)`` float32 of the online network; minus infinity for illegal actions."""
        with th.no_grad():
            hidden = self._caches.last_hidden("acting", self.online.lm, obs)
            values = legal(self.online.values(hidden, obs), obs)
            return values if self.n_quantiles is None else values.mean(dim=1)

    def _from_language_model(self, obs: TokenObs) -> th.Tensor:
        """Actions ``(n,)`` int64 drawn from the pretrained model, among the legal ones."""
        if self.reference is None:
            return sample_tokens(legal(obs["candidate_log_probs"].float(), obs))[0]
        if self.trainable == "heads":  # what acts is the reference itself
            hidden = self._caches.last_hidden("acting", self.reference, obs)
        else:
            with self.reference.adapter_off():
                hidden = self._caches.last_hidden("reference", self.reference, obs)
        return sample_tokens(legal(self.reference.output_layer.logits(hidden), obs))[0]

    # -- saving -----------------------------------------------------------------------------------------------------

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "model": self.model_name,
            "trainable": self.trainable,
            "dtype": self.dtype_name,
            "log_prob_scale": self.log_prob_scale,
            "dueling": self.dueling,
            "double_q": self.double_q,
            "n_quantiles": self.n_quantiles,
            "exploration": self.exploration,
            "exploration_temperature": self.exploration_temperature,
            "exploration_rate": self.exploration_rate,
            "peft_config": self.peft_config,
            "quantization": self.quantization,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }


class _DoubleQTarget(LMQNetwork):
    """A target network that values the online network's choice: all other actions are minus infinity.

    The maximum that the algorithm takes over them is then the target of double Q-learning.
    """

    _choosers: tuple[LMQNetwork, ...] = ()  # in a tuple: the online network is no part of this one

    def choose_with(self, online: LMQNetwork) -> None:
        """Set the network that chooses."""
        self._choosers = (online,)

    def _values(self, packed: PackedSequences) -> th.Tensor:
        (online,) = self._choosers
        with th.enable_grad():  # the online network's own pass over these sequences comes next: computed once for both
            hidden = online.hidden(packed)
        with th.no_grad():
            preferred = legal(online.values(hidden.detach(), packed.columns), packed.columns)
            means = preferred if preferred.ndim == 2 else preferred.mean(dim=1)
            values = super()._values(packed)
            others = th.ones_like(means, dtype=th.bool).scatter_(1, means.argmax(dim=1, keepdim=True), False)
            return values.masked_fill(others if values.ndim == 2 else others[:, None], float("-inf"))


def _check_numbers(scale: float, n_quantiles: int | None, exploration: str, temperature: float, rate: float) -> None:
    if not scale > 0:
        raise ConfigurationError(f"log_prob_scale must be above 0; got {scale}.")
    if n_quantiles is not None and (isinstance(n_quantiles, bool) or n_quantiles < 1):
        raise ConfigurationError(f"n_quantiles must be at least 1, or None for DQN; got {n_quantiles}.")
    if exploration not in EXPLORATIONS:
        raise UnknownNameError.for_name("exploration", exploration, EXPLORATIONS)
    if not temperature > 0:
        raise ConfigurationError(f"exploration_temperature must be above 0; got {temperature}.")
    if not 0 <= rate <= 1:
        raise ConfigurationError(f"exploration_rate must lie between 0 and 1; got {rate}.")
