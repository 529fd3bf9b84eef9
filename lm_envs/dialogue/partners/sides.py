"""Which side of a chat template a language model writes when it plays the user of a conversation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.partners.protocol import Message
from lm_envs.errors import ModelError
from lm_envs.vocabulary import Vocabulary

GREETING = "Hello, how can I help you?"
_USER, _AGENT, _NEXT = "firstquestion", "firstanswer", "secondquestion"


class Side(ABC):
    """The tokens around the turns that a language model writes.

    Args:
        frames: The model's chat template.
    """

    def __init__(self, frames: ChatFrames) -> None:
        self.frames = frames

    @abstractmethod
    def opening(self, persona: str) -> list[int]:
        """The tokens up to where the model writes its first turn; an empty persona gives no instruction."""

    @abstractmethod
    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens that follow the model's turns: their ends, what it is told, and what asks for its next turn."""


class AssistantSide(Side):
    """The model writes the template's assistant: roles are swapped, as models made for chat need it.

    Most templates want a user's message first, which is not there when the conversation begins: it is
    :data:`GREETING`, which nobody but the model sees. The persona is the system message or, where the template knows
    none, the beginning of that first message.
    """

    def opening(self, persona: str) -> list[int]:
        """See :meth:`Side.opening`."""
        greeting = Message(role="user", content=GREETING)
        if not persona:
            return self.frames.opening([greeting])
        try:
            return self.frames.opening([Message(role="system", content=persona), greeting])
        except ModelError:
            return self.frames.opening([Message(role="user", content=f"{persona}\n\n{GREETING}")])

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """See :meth:`Side.answers`."""
        return self.frames.answers(texts, [False] * len(texts))


class UserSide(Side):
    """The model writes the template's user, as a model can that was trained on both sides of conversations.

    What asks for a turn of the user, the template does not tell directly: it is what stands before a user's text.
    """

    def __init__(self, frames: ChatFrames) -> None:
        super().__init__(frames)
        talk = _rendered(frames.vocabulary, [("user", _USER), ("assistant", _AGENT), ("user", _NEXT)])
        self._after_user = talk.partition(_USER)[2].partition(_AGENT)[0]
        self._after_agent = talk.partition(_AGENT)[2].partition(_NEXT)[0]

    def opening(self, persona: str) -> list[int]:
        """See :meth:`Side.opening`."""
        roles = ([("system", persona)] if persona else []) + [("user", _USER)]
        before, _, _ = _rendered(self.frames.vocabulary, roles).rpartition(_USER)
        return self.frames.token_ids([before])[0]

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """See :meth:`Side.answers`."""
        return self.frames.token_ids([f"{self._after_user}{text}{self._after_agent}" for text in texts])


SIDES: dict[str, type[Side]] = {"assistant": AssistantSide, "user": UserSide}
KNOW_BOTH_SIDES = ("tiny",)


def usual_side(model: str) -> str:
    """The role that suits a model: models made for chat know how to be the assistant only."""
    return "user" if model in KNOW_BOTH_SIDES else "assistant"


def _rendered(vocabulary: Vocabulary, turns: Sequence[tuple[str, str]]) -> str:
    from jinja2 import TemplateError

    tokenizer: Any = vocabulary.tokenizer
    messages = [{"role": role, "content": text} for role, text in turns]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))
    except TemplateError as error:
        raise ModelError(
            f"the chat template of model {vocabulary.model!r} refuses messages with the roles "
            f"{[role for role, _ in turns]}: {error}"
        ) from error
