"""``CandidateActions``: the agent chooses among the tokens that a frozen language model finds most probable."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from lm_envs.wrappers import vector
from lm_envs.wrappers.candidate_rows import CandidateRows, CandidateSettings
from lm_envs.wrappers.row_observation import RowObservation
from lm_envs.wrappers.rows import Batch, BoolArray
from lm_envs.wrappers.token_environment import TokenEnvironment


class CandidateActions(RowObservation, RecordConstructorArgs):
    """Choose the next token among the ``k`` that a frozen language model finds most probable.

    ## Description
    A vocabulary has thousands of tokens, nearly all of which make no sense as the next one. A Q-function over all of
    them overestimates the ones never tried, and an epsilon-greedy step writes noise. Here the agent ranks a few
    sensible candidates instead: the action `a` is the `a`-th most probable next token, as when one re-ranks or
    top-k-samples [1, 2]. With `sample="lm"` also exploration follows the language model.

    The end-of-text token is always reachable: where none of the model's end-of-text tokens is among the candidates,
    the last slot holds the most probable of them (with `k=1` every episode therefore ends at once). In a conversation
    the token that ends a turn takes their place. Tokens that the environment's `action_mask` forbids are never
    candidates.

    Given a vector environment, the constructor returns `lm_envs.wrappers.vector.CandidateActions`. The language
    model reads all rows in one pass, and each token once.

    ## Observation Space
    The environment's `Dict`, and

    | Key                   | Type               | Range               | Meaning                                   |
    |-----------------------|--------------------|---------------------|-------------------------------------------|
    | `candidate_ids`       | `Box(k,)` int32    | 0 to vocab_size - 1 | the tokens, most probable first           |
    | `candidate_log_probs` | `Box(k,)` float32  | at most 0           | log-probability of each at `temperature`, |
    |                       |                    |                     | under the distribution over all tokens    |
    | `action_mask`         | `Box(k,)` int8     | 0 or 1              | 1 for a candidate, 0 for a repetition;    |
    |                       |                    |                     | replaces the environment's                |

    Where there are fewer than `k` candidates (`top_p`, few legal tokens), the free slots repeat the first one, with
    its log-probability, and `action_mask` is 0 there. The key exists if `top_p < 1` or the environment's observations
    have it; without it all slots are candidates. `action_masks()` gives it as bool, for `sb3_contrib.MaskablePPO`.

    After the last step of an episode that terminated no action follows, and nothing is computed: `candidate_ids` then
    repeats the first end-of-text token (0 if there is none), the log-probabilities are 0 and the mask is 1. After a
    truncation the candidates are computed, since its value may be asked for.

    ## Action Space
    `Discrete(k)`: the slot of the chosen token. Choosing a repetition is choosing the token that stands there. With
    `sample="lm"`, `action_space.sample()` draws from the candidates' probabilities (renormalised); in a vector
    environment `single_action_space.sample()` does so for row 0, 1, 2, ... in turn, beginning anew with each step,
    which is how Stable-Baselines3 explores. Seed it by `action_space.seed(seed)`. Copies of the space sample
    uniformly, and a space samples for its own environment: after SB3's `DQN.load(path, env=venv)` and
    `model.set_env(venv)` set `model.action_space = venv.action_space`. Several single
    environments in a `DummyVecEnv` all explore by the first one's candidates; use a vector environment.

    ## Arguments
    - `env`: a token environment, such as `TextGen-v0`, single or vector.
    - `k` (int, 16): number of candidates, at most the vocabulary's size.
    - `model` (str, the environment's): alias, hub id or folder of the language model that proposes; its vocabulary
      must be the environment's.
    - `temperature` (float, 1): divides the logits.
    - `top_p` (float, 1): candidates come from the smallest set of legal tokens with this share of their
      probability [2].
    - `sample` (str, `"uniform"`): or `"lm"`, see above.
    - `dtype` (str, `"float32"`): or `"bfloat16"`, the model's precision.
    - `device`: where the model runs; by default a GPU if there is one.

    ## Errors
    The constructor raises `ConfigurationError` for an argument that cannot work or an environment without tokens,
    and `ModelError` for a model that cannot be loaded or has another vocabulary. `step` raises `InvalidActionError`
    for an action that is no slot.

    ## Example
        import gymnasium as gym
        from lm_envs.wrappers import CandidateActions

        env = CandidateActions(gym.make("TextGen-v0"), k=16)
        envs = CandidateActions(gym.make_vec("TextGen-v0", num_envs=64), k=16, sample="lm")

    ## References
    1. A. Fan, M. Lewis, Y. Dauphin, "Hierarchical Neural Story Generation", ACL 2018,
       https://arxiv.org/abs/1805.04833
    2. A. Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020,
       https://arxiv.org/abs/1904.09751
    """

    _rows: CandidateRows

    def __new__(cls, env: Any = None, *args: Any, **kwargs: Any) -> Any:
        """An object of this class, or of the vector class around a vector environment."""
        return vector.CandidateActions(env, *args, **kwargs) if isinstance(env, VectorEnv) else super().__new__(cls)

    def __init__(
        self,
        env: gym.Env[Any, Any],
        k: int = 16,
        *,
        model: str | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        sample: str = "uniform",
        dtype: str = "float32",
        device: Any = None,
    ) -> None:
        """Wrap an environment; the class documentation explains the arguments."""
        RecordConstructorArgs.__init__(
            self, k=k, model=model, temperature=temperature, top_p=top_p, sample=sample, dtype=dtype, device=device
        )
        settings = CandidateSettings(k, temperature, top_p, sample)
        rows = CandidateRows(TokenEnvironment(env), settings, model, dtype, device)
        super().__init__(env, rows)
        self.action_space = rows.action_space

    def action_masks(self) -> BoolArray:
        """Which slots hold a candidate of their own, ``(k,)`` bool."""
        return self._rows.action_masks()[0]

    def _inner_action(self, action: Any) -> np.int64:
        return np.int64(self._rows.tokens(action, ()))

    def _observe(self, obs: Batch, wanted: bool) -> Batch:
        candidates = self._rows.observe(obs, np.array([wanted]))
        self._rows.remember(candidates)
        return candidates
