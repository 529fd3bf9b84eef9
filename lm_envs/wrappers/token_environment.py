"""What the wrappers need to know about the environment that they wrap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from lm_envs.errors import ConfigurationError
from lm_envs.vocabulary import Vocabulary


def layers(env: Any) -> Iterator[Any]:
    """An environment and what it wraps, from outside to inside."""
    while env is not env.unwrapped:
        yield env
        env = env.env
    yield env


class TokenEnvironment:
    """A token environment, single or vector, seen from outside.

    Args:
        env: Any Gymnasium environment.

    Attributes:
        observation_space: Of one row.
        action_space: Of one row.
        n_rows: Number of environments.
        vocabulary: The environment's tokens.

    Raises:
        ConfigurationError: It is no token environment.
    """

    def __init__(self, env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        if isinstance(env, VectorEnv):
            self.observation_space, self.action_space = env.single_observation_space, env.single_action_space
            self.n_rows = env.num_envs
        else:
            self.observation_space, self.action_space, self.n_rows = env.observation_space, env.action_space, 1
        vocabulary = self._attribute("vocabulary") if self._has_tokens else None
        if not isinstance(vocabulary, Vocabulary):
            raise ConfigurationError(
                f"expected a token environment, such as gym.make('TextGen-v0'), whose observations are a Dict with "
                f"input_ids and attention_mask; got {env} with {self.observation_space}. "
                "HiddenStateObservation replaces these keys: apply it last"
            )
        self.vocabulary = vocabulary

    @property
    def capacity(self) -> int:
        """Length of an observation in tokens."""
        return int(self.keys["input_ids"].shape[0])  # type: ignore[index]

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end what the agent says: of a turn in a conversation, of the text elsewhere."""
        turn_end = self._attribute("turn_end_id")
        return self.vocabulary.eos_ids if turn_end is None else (int(turn_end),)

    @property
    def has_action_mask(self) -> bool:
        """Whether some actions can be illegal."""
        return "action_mask" in self.keys

    @property
    def keys(self) -> dict[str, spaces.Space[Any]]:
        """The spaces of a row's observation."""
        assert isinstance(self.observation_space, spaces.Dict)  # the constructor refuses others
        return dict(self.observation_space.spaces)

    def check_actions_are_tokens(self) -> None:
        """Raise a ConfigurationError unless an action is a token id."""
        if self.action_space != spaces.Discrete(self.vocabulary.size) or "candidate_ids" in self.keys:
            raise ConfigurationError(
                f"expected actions that are token ids, Discrete({self.vocabulary.size}); got {self.action_space}. "
                "Is the environment wrapped in CandidateActions already, or one of Dialogue-v0 with actions='acts'?"
            )

    def check_reads_to_the_end(self) -> None:
        """Raise a ConfigurationError if an observation is about a place in its text, and not about the text so far."""
        if "cursor" in self.keys:
            raise ConfigurationError(
                "expected an environment whose text grows; in Tagging-v0 the text stays and a cursor moves through it, "
                "of which a vector of the whole text tells nothing. Use a policy that reads at the cursor, such as "
                "agents.LMActorCriticPolicy with trainable='heads'"
            )

    @property
    def _has_tokens(self) -> bool:
        space = self.observation_space
        return isinstance(space, spaces.Dict) and {"input_ids", "attention_mask"} <= set(space.spaces)

    def _attribute(self, name: str) -> Any:
        """An attribute of the environment inside; None if it has none."""
        owner: Any = self.env.unwrapped
        if not hasattr(owner, name) and hasattr(owner, "get_attr"):  # SyncVectorEnv and AsyncVectorEnv
            try:
                return owner.get_attr(name)[0]
            except AttributeError:
                return None
        return getattr(owner, name, None)
