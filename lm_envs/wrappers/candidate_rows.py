"""The frozen language model's candidates for the next token of each row: what both CandidateActions classes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from lm_envs.environment_arguments import positive_int
from lm_envs.errors import ConfigurationError, InvalidActionError
from lm_envs.wrappers.candidate_space import CandidateSpace
from lm_envs.wrappers.rows import Batch, BoolArray
from lm_envs.wrappers.token_environment import TokenEnvironment

SAMPLING = ("uniform", "lm")


@dataclass(frozen=True)
class CandidateSettings:
    """Arguments of ``CandidateActions`` that need no environment to be checked.

    Raises:
        ConfigurationError: A value cannot work.
    """

    k: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    sample: str = "uniform"

    def __post_init__(self) -> None:
        """Check the values."""
        object.__setattr__(self, "k", positive_int("k", self.k))
        if not 0.0 < self.temperature < float("inf"):
            raise ConfigurationError(
                f"temperature must be a positive number, got {self.temperature!r}. For greedy text take slot 0"
            )
        if not 0.0 < self.top_p <= 1.0:
            raise ConfigurationError(f"top_p must be above 0 and at most 1, got {self.top_p!r}. 1 keeps all tokens")
        if self.sample not in SAMPLING:
            raise ConfigurationError(f"sample must be one of {', '.join(SAMPLING)}; got {self.sample!r}")


class CandidateRows:
    """Candidates for the next action of ``n_rows`` episodes, and the tokens that chosen slots stand for.

    Args:
        environment: What is wrapped.
        settings: How candidates are chosen.
        model: Alias, hub id or folder; None for the environment's model.
        dtype: ``"float32"`` or ``"bfloat16"``.
        device: Where the model runs; None for a GPU if there is one.

    Attributes:
        observation_space: Of one row.
        action_space: Of one row.
        lm: The language model beside the rows.

    Raises:
        ConfigurationError: ``k`` exceeds the vocabulary, or the environment's actions are no tokens.
        ModelError: The model cannot be loaded or does not fit.
    """

    def __init__(
        self, environment: TokenEnvironment, settings: CandidateSettings, model: str | None, dtype: str, device: Any
    ) -> None:
        from lm_envs.wrappers.frozen_rows import FrozenRows  # imports torch

        environment.check_actions_are_tokens()
        vocabulary = environment.vocabulary
        if settings.k > vocabulary.size:
            raise ConfigurationError(
                f"k must be at most the {vocabulary.size} tokens of model {vocabulary.model!r}, got {settings.k}"
            )
        self.settings = settings
        self.n_rows = environment.n_rows
        self.end_ids = environment.end_ids
        self.marks_illegal = settings.top_p < 1.0 or environment.has_action_mask
        self.observation_space = self._observation_space(environment)
        self.action_space = (CandidateSpace if settings.sample == "lm" else spaces.Discrete)(settings.k)
        self.lm = FrozenRows(model or vocabulary.model, vocabulary, self.n_rows, environment.capacity, dtype, device)
        self._current: Batch | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._current is not None:  # a space leaves its candidates behind when it is copied
            self.remember(self._current)

    def observe(self, obs: Batch, wanted: BoolArray) -> Batch:
        """Add candidates to observations.

        Args:
            obs: Of all rows.
            wanted: ``(n_rows,)``, the rows whose episode goes on; in the others no action can follow.
        """
        if wanted.all():
            return {**obs, **self._propose(obs)}
        chosen = self._after_the_end()
        if wanted.any():
            for name, values in self._propose(obs).items():
                chosen[name][wanted] = values[wanted]
        return {**obs, **chosen}

    def remember(self, obs: Batch) -> None:
        """Let these be the candidates that the next actions choose from."""
        self._current = {
            "candidate_ids": obs["candidate_ids"].astype(np.int64),
            "candidate_log_probs": obs["candidate_log_probs"].copy(),
            "action_mask": self._masks(obs),
        }
        if isinstance(self.action_space, CandidateSpace):
            self.action_space.follow(self._current["candidate_log_probs"], self._current["action_mask"])

    def tokens(self, slots: Any, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """The tokens that slots stand for.

        Args:
            slots: What the caller of ``step`` passed.
            shape: ``(n_rows,)``, or ``()`` for a single environment; the result has it too.

        Raises:
            InvalidActionError: No integers, another shape, or no slot.
            ResetNeeded: There was no reset yet.
        """
        if self._current is None:
            raise ResetNeeded("step() needs a running episode: call reset() first")
        chosen = self._checked(slots, shape)
        return self._current["candidate_ids"][np.arange(self.n_rows), chosen].reshape(shape)

    def action_masks(self) -> BoolArray:
        """Which slots hold a candidate of their own, ``(n_rows, k)``.

        Raises:
            ResetNeeded: There was no reset yet.
        """
        if self._current is None:
            raise ResetNeeded("action_masks() needs a running episode: call reset() first")
        return self._current["action_mask"].copy()

    def _observation_space(self, environment: TokenEnvironment) -> spaces.Dict:
        shape = (self.settings.k,)
        keys = environment.keys
        keys["candidate_ids"] = spaces.Box(0, environment.vocabulary.size - 1, shape, np.int32)
        keys["candidate_log_probs"] = spaces.Box(-np.inf, 0.0, shape, np.float32)
        if self.marks_illegal:
            keys["action_mask"] = spaces.Box(0, 1, shape, np.int8)
        return spaces.Dict(keys)

    def _propose(self, obs: Batch) -> Batch:
        import torch as th

        from lm_envs.wrappers.top_tokens import top_tokens

        settings = self.settings
        with th.inference_mode():
            logits = self.lm.logits(obs)
            if settings.temperature != 1.0:
                logits = logits / settings.temperature
            legal = None
            if "action_mask" in obs:
                legal = th.as_tensor(obs["action_mask"], dtype=th.bool, device=logits.device)
            top = top_tokens(logits, settings.k, self.end_ids, settings.top_p, legal)
        chosen = {
            "candidate_ids": top.ids.int().cpu().numpy(),
            "candidate_log_probs": top.log_probs.cpu().numpy(),
        }
        if self.marks_illegal:
            chosen["action_mask"] = top.distinct.to(th.int8).cpu().numpy()
        return chosen

    def _after_the_end(self) -> Batch:
        """What stands for candidates where no action follows: a valid element of the space, the same every time."""
        shape = (self.n_rows, self.settings.k)
        filled: Batch = {
            "candidate_ids": np.full(shape, self.end_ids[0] if self.end_ids else 0, dtype=np.int32),
            "candidate_log_probs": np.zeros(shape, dtype=np.float32),
        }
        if self.marks_illegal:
            filled["action_mask"] = np.ones(shape, dtype=np.int8)
        return filled

    def _masks(self, obs: Batch) -> BoolArray:
        if self.marks_illegal:
            return obs["action_mask"].astype(np.bool_)
        return np.ones((self.n_rows, self.settings.k), dtype=np.bool_)

    def _checked(self, slots: Any, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        array, k = np.asarray(slots), self.settings.k
        if array.dtype.kind not in "iu":
            raise InvalidActionError(
                f"an action is the slot of a candidate, an integer from 0 to {k - 1}, got {array.dtype} {slots!r:.80}"
            )
        if array.shape != shape:
            expected = f"one slot for each of the {self.n_rows} environments" if shape else "one slot"
            raise InvalidActionError(f"expected {expected}, of shape {shape}, got shape {array.shape}: {slots!r:.80}")
        array = array.reshape(self.n_rows)
        outside = np.flatnonzero((array < 0) | (array >= k))
        if outside.size:
            place = f" of environment {outside[0]}" if shape else ""
            raise InvalidActionError(
                f"the action {array[outside[0]]}{place} is no slot of the {k} candidates, 0 to {k - 1}: an action "
                "chooses a candidate by its place, the token id is in the observation's candidate_ids"
            )
        return array.astype(np.int64, copy=False)
