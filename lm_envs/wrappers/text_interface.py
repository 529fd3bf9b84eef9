"""``TextInterface``: agents that speak text act in token environments, a whole turn at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv

from lm_envs.dialogue.partners.protocol import Message
from lm_envs.errors import ConfigurationError, InvalidActionError
from lm_envs.wrappers.any_text import AnyText, is_unicode
from lm_envs.wrappers.token_environment import TokenEnvironment


class TextInterface(gym.Wrapper[str, str, Any, Any], RecordConstructorArgs):
    """Read and write text: one action is a whole turn, or a whole completion.

    ## Description
    For agents that speak text: a language model behind an API, a person at a keyboard, a rule. They meet the same
    episodes, rewards and token budgets as an agent that chooses tokens, so that both can be compared; acting on the
    level of utterances is also what much work on dialogue does [1].

    The text is tokenized by the environment's tokenizer and written into the environment token by token, through its
    own `step`, followed by the token that ends a turn: the end-of-turn token in `Dialogue-v0`, an end-of-text token
    elsewhere. Special tokens that are spelled out in a text are plain characters. A text that is longer than the
    environment's budget is cut there by the environment; where it is shorter than `min_new_tokens`, the token that
    ends it is repeated, as an agent that chooses tokens could do.

    ## Observation Space
    `AnyText(2**20)`, a `gymnasium.spaces.Text` of all Unicode characters: the prompt, whole even where the tokens hold
    only its end; in a conversation the user's latest turn.

    ## Action Space
    `AnyText(2**20)`: what the agent says. May be empty.

    In an environment without turns the text continues the prompt. With `spaced=True` a text that begins with a letter
    or digit, after a prompt that does not end with white space, gets the space that lies between two words.

    ## Rewards
    The sum of the environment's rewards for these tokens.

    ## Episode End
    As in the environment; `TextGen-v0` ends after one action.

    ## Information
    The environment's info of the step that ended the turn, of `reset` the environment's own, and in both

    | Key        | Type       | Meaning                                                                                |
    |------------|------------|----------------------------------------------------------------------------------------|
    | `messages` | list[dict] | the conversation so far, `role` and `content` each, as chat models and chat templates  |
    |            |            | take it; the prompt of an environment without turns is one message of the user         |

    ## Arguments
    - `env`: a single environment whose actions are tokens, such as `TextGen-v0` or `Dialogue-v0`.
    - `spaced` (bool, True): see above.

    The attribute `has_turns` tells whether the environment answers: an action is then a turn.

    ## Errors
    The constructor raises `ConfigurationError` for a vector environment, an environment without tokens or with other
    actions, and where the model has no token that ends a text. `step` raises `InvalidActionError` for an action that
    is no text.

    ## Example
        import gymnasium as gym
        from lm_envs.wrappers import TextInterface

        env = TextInterface(gym.make("TextGen-v0"))
        prompt, info = env.reset(seed=0)
        _, reward, terminated, truncated, info = env.step("is great, I love it!")

    ## References
    1. M. Abdulhai et al., "LMRL Gym: Benchmarks for Multi-Turn Reinforcement Learning with Language Models", 2023,
       https://arxiv.org/abs/2311.18232
    """

    env: gym.Env[Any, Any]

    def __init__(self, env: gym.Env[Any, Any], *, spaced: bool = True) -> None:
        """Wrap an environment; the class documentation explains the arguments."""
        if isinstance(env, VectorEnv):
            raise ConfigurationError(
                f"TextInterface wraps a single environment, such as gym.make('Dialogue-v0'); got {env}. For several "
                "side by side: gymnasium.vector.SyncVectorEnv of wrapped ones"
            )
        tokens = TokenEnvironment(env)
        tokens.check_actions_are_tokens()
        RecordConstructorArgs.__init__(self, spaced=spaced)
        gym.Wrapper.__init__(self, env)
        self.observation_space, self.action_space = AnyText(), AnyText()
        self._vocabulary = tokens.vocabulary
        self.has_turns = hasattr(env.unwrapped, "turn_end_id")
        self._end_id = self._find_end()
        self._spaced = spaced
        self._text = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode; arguments as in the wrapped environment."""
        _, info = self.env.reset(seed=seed, options=options)
        messages = self._messages()
        self._text = messages[-1]["content"]
        return self._text, {**info, "messages": messages}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Say something.

        Args:
            action: The whole turn or completion.

        Raises:
            InvalidActionError: It is no text.
        """
        total = 0.0
        for token in self._written(action):
            _, reward, terminated, truncated, info = self.env.step(token)
            total += float(reward)
            if terminated or truncated or "agent_turn" in info:
                break
        self._text = info.get("user_turn", self._text)
        return self._text, total, terminated, truncated, {**info, "messages": self._messages()}

    def _written(self, text: str) -> Iterator[int]:
        """The text's tokens, then the one that ends it, as often as the environment needs it."""
        if not isinstance(text, str) or not is_unicode(text):
            raise InvalidActionError(
                f"an action of TextInterface is a text, a str without lone surrogates; got {type(text).__name__} "
                f"{text!r:.80}. To choose tokens, use the environment without TextInterface"
            )
        if self._spaced and not self.has_turns:
            text = joined(self._text, text)
        ids = self._vocabulary.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return chain(ids["input_ids"], repeat(self._end_id))

    def _messages(self) -> list[Message]:
        """The conversation so far."""
        return [*self.env.unwrapped.messages]  # type: ignore[attr-defined]

    def _find_end(self) -> int:
        """The token that ends what the agent says."""
        if self.has_turns:
            return int(self.env.unwrapped.turn_end_id)  # type: ignore[attr-defined]
        if not self._vocabulary.eos_ids:
            raise ConfigurationError(
                f"the model {self._vocabulary.model!r} has no end-of-text token, so that no text can be finished: "
                "choose another model"
            )
        return self._vocabulary.eos_ids[0]


def joined(prompt: str, text: str) -> str:
    """``text`` with the space that a word needs after a prompt that ends without one."""
    return f" {text}" if text[:1].isalnum() and prompt[-1:].strip() else text
