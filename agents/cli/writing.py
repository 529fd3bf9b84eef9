"""A policy that writes tokens, one conversation or text at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lm_envs.errors import ConfigurationError, ModelError

if TYPE_CHECKING:
    from agents.cli.targets import Source
    from lm_envs.dialogue.framing import ChatFrames
    from lm_envs.dialogue.partners import Message
    from lm_envs.vocabulary import Vocabulary

CONTEXT = 2_048
"""Tokens of a conversation that the model sees, where it can read as many."""


class Writer:
    """Writes with a policy whose actions are tokens.

    Args:
        policy: The policy.
        vocabulary: The tokens.
        deterministic: Whether it writes the most probable tokens, instead of drawing them.

    Attributes:
        policy: The policy.
        vocabulary: The tokens.
        context: How many tokens it can see.

    Raises:
        ConfigurationError: The policy's actions are something else.
    """

    def __init__(self, policy: Any, vocabulary: Vocabulary, deterministic: bool = False) -> None:
        kind = getattr(getattr(policy, "online", policy), "actions_are", "no tokens of a language model")
        if kind != "tokens":
            raise ConfigurationError(
                f"only a policy whose actions are tokens can talk; this one's are {kind}. To see what it does: lm-envs "
                "sample RUN"
            )
        self.vocabulary = vocabulary
        self.context = min(CONTEXT, vocabulary.max_positions or CONTEXT)
        self.policy = policy
        self._deterministic = deterministic

    def write(self, ids: Sequence[int], max_new_tokens: int, ends: Collection[int]) -> Iterator[int]:
        """Continue ``ids``, token by token; keys and values of what was there before are kept.

        Args:
            ids: At most ``context - max_new_tokens`` tokens.
            max_new_tokens: Most tokens to write.
            ends: Tokens that end the text; the one that does comes, too.
        """
        import torch as th

        device = self.policy.device
        row = th.zeros((1, self.context), dtype=th.int32, device=device)
        mask = th.zeros((1, self.context), dtype=th.int8, device=device)
        row[0, : len(ids)] = th.as_tensor(list(ids), dtype=th.int32)
        for length in range(len(ids), len(ids) + max_new_tokens):
            mask[0, :length] = 1
            action = self.policy._predict({"input_ids": row, "attention_mask": mask}, self._deterministic)
            token = int(action[0])
            yield token
            if token in ends:
                return
            row[0, length] = token


def load_writer(source: Source, device: str, deterministic: bool) -> Writer:
    """The writer that a run, a zip or a model is.

    Args:
        source: Where it comes from.
        device: Where it runs.
        deterministic: See :class:`Writer`.

    Raises:
        ConfigurationError: It does not write tokens.
        LMEnvsError: It cannot be loaded.
    """
    from agents.policies.saved_policy import load_policy
    from lm_envs.vocabulary import load_vocabulary

    if source.saved is None:
        assert source.model is not None
        vocabulary = load_vocabulary(source.model)
        return Writer(_pretrained(source.model, vocabulary, device), vocabulary, deterministic)
    policy: Any = load_policy(source.saved, device)
    return Writer(policy, load_vocabulary(getattr(policy, "model_name", "tiny")), deterministic)


def _pretrained(model: str, vocabulary: Vocabulary, device: str) -> Any:
    """A model as a policy, without an environment."""
    import numpy as np
    from gymnasium import spaces
    from stable_baselines3.common.utils import get_device

    from agents.policies.actor_critic import LMActorCriticPolicy

    n_tokens = min(CONTEXT, vocabulary.max_positions or CONTEXT)
    seen = spaces.Dict(
        {
            "input_ids": spaces.Box(0, vocabulary.size - 1, (n_tokens,), np.int32),
            "attention_mask": spaces.Box(0, 1, (n_tokens,), np.int8),
        }
    )
    policy = LMActorCriticPolicy(seen, spaces.Discrete(vocabulary.size), lambda _: 0.0, model=model, trainable="heads")
    return policy.to(get_device(device))


class Continuations:
    """Plain texts, each continued by itself.

    Args:
        writer: What writes.
        max_new_tokens: Most tokens of a continuation.

    Raises:
        ConfigurationError: The model's context has no room for so many tokens.
    """

    def __init__(self, writer: Writer, max_new_tokens: int) -> None:
        _check_room(writer, max_new_tokens)
        self._writer = writer
        self._most = max_new_tokens

    def answer(self, text: str) -> Iterator[int]:
        """Tokens that continue ``text``; of a long text the model sees the end."""
        ids = self._writer.vocabulary.tokenizer(text)["input_ids"]
        ends = self._writer.vocabulary.eos_ids
        for token in self._writer.write(ids[-(self._writer.context - self._most) :], self._most, ends):
            if token not in ends:
                yield token


class Conversation:
    """Turns in the frames of the model's chat template. The oldest are forgotten where there is no more room.

    Args:
        writer: What writes.
        frames: The chat template.
        max_new_tokens: Most tokens of a turn.
        system: What the system message says; None for none.

    Raises:
        ConfigurationError: The model's context has no room for so many tokens.
    """

    def __init__(self, writer: Writer, frames: ChatFrames, max_new_tokens: int, system: str | None = None) -> None:
        _check_room(writer, max_new_tokens)
        self._writer = writer
        self._frames = frames
        self._most = max_new_tokens
        self._system: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        self._turns: list[Message] = []
        self._ids: list[int] = []
        self._ended = False

    def answer(self, text: str) -> Iterator[int]:
        """Tokens of the model's next turn, after the person's turn ``text``."""
        said = self._frames.plain(text)
        self._turns.append({"role": "user", "content": said})
        self._ids = self._with_turn(said)
        ends = {self._frames.turn_end_id, *self._writer.vocabulary.eos_ids}
        written: list[int] = []
        self._ended = False
        for token in self._writer.write(self._ids, self._most, ends):
            if token in ends:
                self._ended = token == self._frames.turn_end_id
                break
            written.append(token)
            yield token
        self._ids += [*written, *([self._frames.turn_end_id] if self._ended else [])]
        self._turns.append({"role": "assistant", "content": self._writer.vocabulary.decode([written])[0]})

    def _with_turn(self, said: str) -> list[int]:
        """The conversation's tokens up to where the model writes; without its oldest turns, if it is too long."""
        room = self._writer.context - self._most
        if self._ids:
            ids = self._ids + self._frames.answers([said], [self._ended])[0]
            if len(ids) <= room:
                return ids
        while True:
            ids = self._frames.opening([*self._system, *self._turns])
            if len(ids) <= room:
                return ids
            if len(self._turns) == 1:
                raise ModelError(
                    f"this turn is {len(ids)} tokens long with its frame; the model reads {self._writer.context}, of "
                    f"which {self._most} are its own. Say it in fewer words, or lower --max-new-tokens."
                )
            del self._turns[:2]


def _check_room(writer: Writer, max_new_tokens: int) -> None:
    if max_new_tokens >= writer.context:
        raise ConfigurationError(
            f"--max-new-tokens must be below {writer.context}, the tokens that the model sees; got {max_new_tokens}."
        )
