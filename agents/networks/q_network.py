"""A language model as a Q-network: values of next tokens, of candidate tokens, or of other choices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch as th
from gymnasium import spaces
from torch import nn

from agents.networks.action_kinds import action_kind, number_of_actions
from agents.networks.encoder import Encoder
from agents.networks.heads import Scores
from agents.networks.language_model import LanguageModel
from agents.networks.q_heads import candidate_logits, legal, legal_log_softmax
from agents.networks.sequences import PackedSequences, pack_observations
from agents.networks.trained_weights import TrainedWeights, trained_parameters
from agents.warn_once import warn_once
from lm_envs.errors import CheckpointError
from lm_envs.inference.output_layer import OutputLayer

TokenObs = Mapping[str, th.Tensor]


class LMQNetwork(TrainedWeights):
    """Action values from a language model's hidden states.

    For tokens and candidate tokens ``Q(s, a) = V(s) + scale * log p(a | s) + w(a) g(s)``: ``p`` is the language model's
    distribution over the legal actions, ``w(a)`` the token's row of its output layer, and V and g are heads. Both
    start at zero, so at first Q is the pretrained model's log-probability times ``scale``, and greedy play is the
    model's own. (Learning inside of the softmax alone is slow where the model is certain: its gradient vanishes.)
    With ``dueling`` the mean over the legal actions is subtracted
    (`Wang et al. 2016 <https://arxiv.org/abs/1511.06581>`_). Other choices have values from a small head, zero at
    first.

    Args:
        model: The language model; for choices it may be an encoder. Two networks that train nothing in it share one
            instance, and its passes.
        observation_space: That of a token environment.
        action_space: ``Discrete``: the vocabulary, the candidates of ``CandidateActions``, or other choices.
        scale: Value of a nat of log-probability, in units of the reward.
        dueling: Whether to subtract the mean over the actions.
        n_quantiles: Number of quantiles of the return to predict (QR-DQN); None for the mean alone.
        is_target: Whether these are the values that targets are made of: illegal actions are minus infinity, gradients
            are not wanted.

    Raises:
        ConfigurationError: For another kind of action space.
        ModelError: If the model cannot read the environment's observations.
    """

    def __init__(
        self,
        model: LanguageModel | Encoder,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        scale: float = 0.1,
        dueling: bool = False,
        n_quantiles: int | None = None,
        is_target: bool = False,
    ) -> None:
        super().__init__()
        self.n_actions = number_of_actions(action_space)
        self.actions_are = action_kind(model, observation_space, self.n_actions)
        self.lm = model
        self.scale = scale
        self.dueling = dueling
        self.n_quantiles = n_quantiles
        self.is_target = is_target
        n_values = n_quantiles or 1
        self.value = Scores(model.hidden_size, n_values)
        if self.actions_are == "choices":
            self.choices = Scores(model.hidden_size, n_values * self.n_actions)
        else:
            self.correction = Scores(model.hidden_size, model.hidden_size)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """What is trained, and nothing else: SB3 writes the online network's parameters over the target's."""
        return iter(trained_parameters(self).values())

    def set_training_mode(self, mode: bool) -> None:
        """Like SB3's networks; dropout stays off in either mode."""
        if mode:
            self.lm.mark_changed()  # SB3's target update writes weights without a trace

    def forward(self, obs: PackedSequences | TokenObs) -> th.Tensor:
        """Values of all actions.

        Args:
            obs: Whole sequences from a :class:`~agents.SequenceReplayBuffer`, or a plain batch of observations.

        Returns:
            ``(n, n_actions)`` float32, with quantiles ``(n, n_quantiles, n_actions)``.

        Raises:
            CheckpointError: If the sequences come from a buffer of another environment.
        """
        if not isinstance(obs, PackedSequences):
            warn_once(
                "The replay buffer yields single observations, so every prefix is computed anew. "
                "Pass replay_buffer_class=SequenceReplayBuffer to compute each sequence once."
            )
            packed, order = pack_observations(obs)
            return self._values(packed)[order]
        self._check_origin(obs)
        values = self._values(obs)
        return values if obs.observer is None else obs.observer(values)

    def _values(self, packed: PackedSequences) -> th.Tensor:
        return self.values(self.hidden(packed), packed.columns)

    def hidden(self, packed: PackedSequences) -> th.Tensor:
        """Hidden states ``(n, hidden_size)`` after each transition's observation."""
        frozen = not self.lm.own_parameters()
        with th.set_grad_enabled(th.is_grad_enabled() and not frozen):
            return packed.transition_hidden(self.lm)

    def values(self, hidden: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:
        """Values of all actions, given hidden states.

        Args:
            hidden: ``(n, hidden_size)``.
            columns: What the observations hold beside tokens, each ``(n, ...)``.

        Returns:
            ``(n, n_actions)`` float32, with quantiles ``(n, n_quantiles, n_actions)``.
        """
        values = self._scored(hidden, columns)
        return legal(values, columns) if self.is_target else values

    def _scored(self, hidden: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:
        state_values = self.value(hidden)
        if self.actions_are == "choices":
            scores = self.choices(hidden).view(len(hidden), -1, self.n_actions)
            if self.dueling:
                scores = scores - _legal_mean(scores, columns)
            values = state_values[:, :, None] + scores
            return values if self.n_quantiles else values[:, 0]
        advantages = self._advantages(hidden, columns)
        if self.n_quantiles is None:
            return state_values + advantages
        return state_values[:, :, None] + advantages[:, None]

    def _advantages(self, hidden: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:
        assert isinstance(self.lm, LanguageModel)
        layer = self.lm.output_layer
        linear, correction = OutputLayer(layer.weight), self.correction(hidden).to(layer.weight.dtype)
        if self.actions_are == "candidates":
            ids = columns["candidate_ids"]
            logits, learned = candidate_logits(layer, hidden, ids), candidate_logits(linear, correction, ids)
        else:
            logits, learned = layer.logits(hidden), linear.logits(correction)
        advantages = self.scale * legal_log_softmax(logits, columns) + learned
        return advantages - _legal_mean(advantages, columns) if self.dueling else advantages

    def _check_origin(self, packed: PackedSequences) -> None:
        candidates = packed.columns.get("candidate_ids")
        n_candidates = self.n_actions if candidates is None else candidates.shape[1]
        if packed.vocab_size not in (None, self.lm.vocab_size) or n_candidates != self.n_actions:
            raise CheckpointError(
                f"the replay buffer holds episodes of another environment: {packed.vocab_size} tokens and "
                f"{n_candidates} actions, where this policy has {self.lm.vocab_size} tokens and {self.n_actions} "
                "actions. Load a buffer that was saved with the same environment and model."
            )


def _legal_mean(values: th.Tensor, columns: Mapping[str, th.Tensor]) -> th.Tensor:
    """Mean over the legal actions of ``(n, [n_quantiles,] n_actions)``, with a last dimension of 1."""
    mask = columns.get("action_mask")
    if mask is None:
        return values.mean(dim=-1, keepdim=True)
    weights = mask.float() if values.ndim == 2 else mask.float()[:, None]
    return (values * weights).sum(dim=-1, keepdim=True) / weights.sum(dim=-1, keepdim=True)
