"""``HiddenStateObservation``: a frozen language model reads the text, so that a small network can act on it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from lm_envs.wrappers import vector
from lm_envs.wrappers.hidden_rows import HiddenRows
from lm_envs.wrappers.row_observation import RowObservation
from lm_envs.wrappers.rows import BoolArray
from lm_envs.wrappers.token_environment import TokenEnvironment


class HiddenStateObservation(RowObservation, RecordConstructorArgs):
    """Observe the text as the vector that a frozen language model makes of it.

    ## Description
    The last hidden state of a pretrained language model summarises the text so far; it is what the model predicts
    the next token from. With it as observation any agent for vectors, such as Stable-Baselines3's `"MlpPolicy"`,
    acts on text: a linear probe or a small network on frozen features [1, 2]. The language model itself does not
    learn. Around :class:`CandidateActions` with the same `model`, `dtype` and `device` the hidden states that it has
    computed in the same step are used again, so the model still reads each token once.

    Given a vector environment, the constructor returns `lm_envs.wrappers.vector.HiddenStateObservation`. Apply this
    wrapper last: it takes the tokens out of the observation.

    ## Observation Space
    `Box(-inf, inf, (hidden_size,), float32)`: the hidden state after the last token, behind the model's final norm;
    with `pooling="mean"` the mean over all tokens so far. With `normalize=True` each vector is brought to mean 0 and
    variance 1. After the last step of an episode that terminated nothing is computed, since nothing follows: the
    observation is zero. After a truncation it is computed.

    ## Action Space
    Unchanged; so is `action_masks()`.

    ## Arguments
    - `env`: a token environment, such as `TextGen-v0`, single or vector, or one wrapped in `CandidateActions`.
    - `model` (str, the environment's): alias, hub id or folder of the language model; its vocabulary must be the
      environment's.
    - `pooling` (str, `"last"`): or `"mean"`.
    - `normalize` (bool, False): bring each vector to mean 0 and variance 1, which suits an MLP's initial weights.
    - `dtype` (str, `"float32"`): or `"bfloat16"`, the model's precision.
    - `device`: where the model runs; by default a GPU if there is one.

    ## Errors
    The constructor raises `ConfigurationError` for an argument that cannot work or an environment without tokens,
    and `ModelError` for a model that cannot be loaded or has another vocabulary.

    ## Example
        import gymnasium as gym
        from lm_envs.wrappers import CandidateActions, HiddenStateObservation

        env = HiddenStateObservation(CandidateActions(gym.make("TextGen-v0"), k=16), normalize=True)
        envs = HiddenStateObservation(CandidateActions(gym.make_vec("TextGen-v0", num_envs=64)), normalize=True)

    ## References
    1. G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", 2016,
       https://arxiv.org/abs/1610.01644
    2. C. Snell et al., "Offline RL for Natural Language Generation with Implicit Language Q Learning", ICLR 2023,
       https://arxiv.org/abs/2206.11871
    """

    _rows: HiddenRows

    def __new__(cls, env: Any = None, *args: Any, **kwargs: Any) -> Any:
        """An object of this class, or of the vector class around a vector environment."""
        if isinstance(env, VectorEnv):
            return vector.HiddenStateObservation(env, *args, **kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        model: str | None = None,
        pooling: str = "last",
        normalize: bool = False,
        dtype: str = "float32",
        device: Any = None,
    ) -> None:
        """Wrap an environment; the class documentation explains the arguments."""
        RecordConstructorArgs.__init__(
            self, model=model, pooling=pooling, normalize=normalize, dtype=dtype, device=device
        )
        super().__init__(env, HiddenRows(TokenEnvironment(env), model, pooling, normalize, dtype, device))

    def action_masks(self) -> BoolArray:
        """The wrapped environment's legal actions, ``(n_actions,)`` bool."""
        masks: BoolArray = self.env.get_wrapper_attr("action_masks")()
        return masks
