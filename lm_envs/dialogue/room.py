"""How conversations keep within ``max_tokens``: long turns are cut, old turns dropped, or there is no room left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.conversation import Conversation
from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.partners import Message
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.token_state import TokenState


class Room:
    """Frames turns such that after each there is room for a whole turn of the agent.

    Args:
        config: The environment's arguments.
        frames: The model's chat template.

    Raises:
        ConfigurationError: One turn of the user and one of the agent do not fit into ``max_tokens``.
    """

    def __init__(self, config: DialogueConfig, frames: ChatFrames) -> None:
        self.config = config
        self.frames = frames
        self._answer_lengths = frames.answer_length(False), frames.answer_length(True)
        self._room = config.max_tokens - config.max_turn_tokens  # for all that stands before a turn of the agent
        system: list[Message] = [] if config.system is None else [{"role": "system", "content": config.system}]
        frame = len(frames.opening([*system, {"role": "user", "content": ""}]))
        least = frame + config.max_user_tokens + config.max_turn_tokens
        if config.max_tokens < least:
            raise ConfigurationError(
                f"max_tokens = {config.max_tokens} leaves no room for a turn of the user and one of the agent: the "
                f"chat template takes {frame} tokens, max_user_tokens is {config.max_user_tokens} and max_turn_tokens "
                f"{config.max_turn_tokens}. Set max_tokens to {least} or more, or lower the others"
            )

    def opening(self, messages: Sequence[Message]) -> tuple[list[Message], list[int]]:
        """What a conversation begins with, as far as it fits.

        Args:
            messages: The system message, if any, and turns, the last one the user's. Of a context that is too long the
                oldest turns are left out, then the end of the user's turn.

        Returns:
            The messages that are left, and their tokens.

        Raises:
            DataError: Not even a part of the user's turn fits beside the system message.
        """
        kept: list[Message] = [{"role": m["role"], "content": self.frames.plain(m["content"])} for m in messages]
        ids = self.frames.opening(kept)
        first = int(kept[0]["role"] == "system")
        while len(ids) > self._room and len(kept) > first + 1:
            del kept[first]
            while kept[first]["role"] != "user":
                del kept[first]
            ids = self.frames.opening(kept)
        if len(ids) > self._room:
            text = kept[-1]["content"]
            before = kept[:-1]
            shorter, ids = self._fitting(
                text,
                self.frames.lengths([text])[0] - (len(ids) - self._room),
                lambda cut: self.frames.opening([*before, {"role": "user", "content": cut}]),
                self._room,
            )
            if not shorter:
                raise DataError(
                    f"a conversation's system message leaves no room for the user's turn in max_tokens - "
                    f"max_turn_tokens = {self._room} tokens. Raise max_tokens. It begins {kept[0]!r:.80}"
                )
            kept[-1]["content"] = shorter
        return kept, ids

    def _fitting(
        self, text: str, n_tokens: int, framed: Callable[[str], list[int]], most: int
    ) -> tuple[str, list[int]]:
        """The beginning of ``text`` that has ``most`` tokens in its frame, and these; an empty text may have more.

        Args:
            text: A turn of the user.
            n_tokens: How many of its own tokens should fit; fewer are tried where the frame joins with them badly.
            framed: The tokens of a turn in its frame.
            most: How many there may be.
        """
        for n_left in range(n_tokens, 0, -1):
            shorter = self.frames.cut(text, n_left)
            ids = framed(shorter)
            if len(ids) <= most:
                return shorter, ids
        return "", framed("")

    def turns(self, texts: Sequence[str]) -> list[list[int]]:
        """Whole turns of the agent as tokens, with the token that ends each.

        Raises:
            ConfigurationError: One is longer than ``max_turn_tokens``.
        """
        plain = [self.frames.plain(text) for text in texts]
        found = [[*ids, self.frames.turn_end_id] for ids in self.frames.token_ids(plain)]
        most = max(map(len, found), default=0)
        if most > self.config.max_turn_tokens:
            longest = plain[[len(ids) for ids in found].index(most)]
            raise ConfigurationError(
                f"with actions='acts' the agent says {longest!r:.200}, which takes {most} tokens with the one that "
                f"ends a turn, more than max_turn_tokens={self.config.max_turn_tokens}. Set max_turn_tokens={most} or "
                "more"
            )
        return found

    def answers(self, texts: Sequence[str], ended: Sequence[bool]) -> tuple[list[str], list[list[int]]]:
        """The user's turns, cut to ``max_user_tokens``, and the tokens to append for them.

        Args:
            texts: The user's turns.
            ended: Whether the agent wrote the token that ends its own turn.
        """
        plain = [self.frames.plain(text) for text in texts]
        found = self.frames.answers(plain, ended)
        for k, ids in enumerate(found):
            most = self._answer_lengths[ended[k]] + self.config.max_user_tokens
            if len(ids) > most:
                plain[k], found[k] = self._fitting(
                    plain[k],
                    self.config.max_user_tokens,
                    lambda cut, done=ended[k]: self.frames.answers([cut], [done])[0],  # type: ignore[misc]
                    most,
                )
        return plain, found

    def append(self, state: TokenState, row: int, talk: Conversation, ids: list[int]) -> bool:
        """Append what follows the agent's turn, so that it can write the next one.

        Args:
            state: The tokens of all rows.
            row: Which row.
            talk: Its conversation, whose last message is the user's turn.
            ids: The tokens to append.

        Returns:
            Whether there was room for them and for a turn of the agent; if not, nothing was done.
        """
        if state.lengths[row] + len(ids) > self._room:
            if self.config.on_overflow == "end":
                return False
            self._drop(state, row, talk, ids)
        else:
            state.extend(row, ids)
        state.begin_completion(row)
        talk.begin_turn(int(state.lengths[row]), talk.messages[-1]["content"])
        return True

    def _drop(self, state: TokenState, row: int, talk: Conversation, ids: list[int]) -> None:
        """Drop the oldest turns and append ``ids``: the conversation then begins with a later turn of the user."""
        tokens = state.input_ids[row, : state.lengths[row]]
        for n_dropped, (start, user_turn) in enumerate(zip(talk.turn_starts, talk.answered, strict=True)):
            opening = self.frames.opening([*talk.system, {"role": "user", "content": user_turn}])
            kept = [*opening, *tokens[start:].tolist(), *ids]
            if len(kept) <= self._room:
                talk.forget(n_dropped, start - len(opening))
                break
        else:  # not even the last turn fits: the new one of the user alone
            messages, kept = self.opening([*talk.system, talk.messages[-1]])
            talk.messages[-1] = messages[-1]
            talk.forget(len(talk.turn_starts), 0)
        state.start(np.array([row]), np.array([kept]), np.array([len(kept)]))
