"""How a model's chat template frames turns: the opening by the template itself, every later turn incrementally.

A conversation grows by what the agent writes and by what the template puts after it: the end of the agent's turn, the
user's turn in its frame, and the words that ask for the next turn. That last part is the same for every turn, so it is
found once, by rendering a probe. The agent's tokens stay as they are: nothing that it wrote is tokenized again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lm_envs.errors import ModelError
from lm_envs.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from lm_envs.dialogue.partners import Message

_USER, _AGENT, _NEXT = "firstquestion", "firstanswer", "secondquestion"
_FURTHER = "secondanswer", "thirdquestion"


class _Frame(NamedTuple):
    """What stands between the turns."""

    after_agent: str  # from the end of the agent's turn to the beginning of the user's
    after_user: str  # from the end of the user's turn to the beginning of the agent's
    turn_end: tuple[int, ...]  # the tokens that end the agent's turn: perhaps space, then the one that does it


class ChatFrames:
    """The chat template of a model, ready to frame turns one after the other.

    Args:
        vocabulary: The model's tokens.

    Attributes:
        vocabulary: The same.
        turn_end_id: The token that ends a turn in the template, such as ``<|im_end|>``; where the template ends turns
            by plain text, the model's first end-of-text token.

    Raises:
        ModelError: The model has no chat template, or one that renders earlier turns differently once later ones
            follow, so that a conversation cannot grow.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        frame = _frame(vocabulary)
        self._between = frame.after_agent, frame.after_user
        self._turn_end = frame.turn_end
        if not frame.turn_end and not vocabulary.eos_ids:
            raise ModelError(
                f"the chat template of model {vocabulary.model!r} ends turns with plain text, and the model has no "
                "end-of-text token, so that no turn could end: choose another model"
            )
        self.turn_end_id = frame.turn_end[-1] if frame.turn_end else vocabulary.eos_ids[0]

    def opening(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation's beginning, up to where the agent writes.

        Args:
            messages: The last one is the user's.

        Raises:
            ModelError: The template refuses them, for example because it knows no system messages; or it renders
                earlier turns differently with a system message.
        """
        if messages[0]["role"] == "system":
            _check_system(self.vocabulary)
        return _rendered(self.vocabulary, messages, tokenize=True)

    def answers(self, texts: Sequence[str], ended: Sequence[bool]) -> list[list[int]]:
        """The tokens that follow the agent's turns: their ends, the user's turns, and what asks for the next turn.

        Args:
            texts: The user's turns, without special tokens: see :meth:`plain`.
            ended: Whether the agent wrote the token that ends its turn, so that it must not come again.
        """
        before, after = self._between
        skipped = [len(self._turn_end) if done else 0 for done in ended]
        framed = [_remembered_ids(self.vocabulary, f"{before}{text}{after}") for text in texts]
        return [list(ids[start:]) for ids, start in zip(framed, skipped, strict=True)]

    def answer_length(self, ended: bool) -> int:
        """How many tokens the frame of a user's turn takes, where the agent has ``ended`` its turn and where not."""
        return len(self.answers([""], [ended])[0])

    def plain(self, text: str) -> str:
        """``text`` without anything that the tokenizer takes for a special token: nobody may forge a turn's end.

        Space around it is left out, too: some templates do so, and then a conversation that grows turn by turn is the
        same text as one that the template renders at once.
        """
        found = True
        while found:  # what stands around a token may come together as another one
            found = any(token in text for token in _special_texts(self.vocabulary))
            for token in _special_texts(self.vocabulary):
                text = text.replace(token, "")
        return text.strip()

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts, without a frame."""
        return _token_ids(self.vocabulary.tokenizer, texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The numbers of tokens of texts."""
        return [len(ids) for ids in self.token_ids(texts)]

    def cut(self, text: str, max_tokens: int) -> str:
        """The beginning of ``text`` that has at most ``max_tokens`` tokens, without space at its end.

        Where a token is a part of a character only, the character is left out; its tokens would not come back.
        """
        ids = self.token_ids([text])[0]
        for length in range(min(max_tokens, len(ids)), 0, -1):
            shorter = self.vocabulary.decode([ids[:length]])[0].rstrip("\N{REPLACEMENT CHARACTER}").rstrip()
            if self.lengths([shorter])[0] <= max_tokens:
                return shorter
        return ""


def _token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []


@lru_cache(maxsize=8192)
def _remembered_ids(vocabulary: Vocabulary, text: str) -> tuple[int, ...]:
    """The tokens of a text that comes again: simulated users have few words."""
    return tuple(_token_ids(vocabulary.tokenizer, [text])[0])


@lru_cache(maxsize=16)
def _special_texts(vocabulary: Vocabulary) -> tuple[str, ...]:
    """The texts that become one token of their own, whatever stands around them; runs of spaces mean no harm."""
    return tuple(text for text in vocabulary.tokenizer.get_added_vocab() if text.strip())


@lru_cache(maxsize=16)
def _frame(vocabulary: Vocabulary) -> _Frame:
    """Find out what the template puts between turns, and check that it always puts the same."""
    tokenizer = vocabulary.tokenizer
    if not tokenizer.chat_template:
        raise ModelError(
            f"the model {vocabulary.model!r} has no chat template, which tells where turns begin and end: choose a "
            "model made for chat (such as 'tiny' or 'smollm2-135m'), or set tokenizer.chat_template and save model and "
            "tokenizer into a folder"
        )
    after_agent, after_user = _between_turns(vocabulary, [])
    ids = _token_ids(tokenizer, [after_agent])[0]
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    end = next((place for place, token in enumerate(ids) if token in special), None)
    if end is not None and vocabulary.decode([ids[:end]])[0].strip():
        end = None  # plain text ends the turn, the special token comes later
    return _Frame(after_agent, after_user, () if end is None else tuple(ids[: end + 1]))


@lru_cache(maxsize=16)
def _check_system(vocabulary: Vocabulary) -> None:
    """Check that a system message changes the opening only."""
    if _between_turns(vocabulary, [{"role": "system", "content": "systemmessage"}]) != tuple(_frame(vocabulary)[:2]):
        raise _changes_turns(vocabulary)


def _between_turns(vocabulary: Vocabulary, system: list[Message]) -> tuple[str, str]:
    """The text between the agent's turn and the user's, and between the user's and the agent's.

    The template may put space before an answer that is not there where the answer is asked for: the agent writes it.
    """
    opening = _rendered(vocabulary, [*system, *_talk(_USER)])
    short = _rendered(vocabulary, [*system, *_talk(_USER, _AGENT, _NEXT)])
    long = _rendered(vocabulary, [*system, *_talk(_USER, _AGENT, _NEXT, *_FURTHER)])
    first, _, rest = short.partition(_AGENT)
    after_agent, found, after_user = rest.partition(_NEXT)
    space = first.removeprefix(opening)
    further = f"{_NEXT}{after_user}{space}{_FURTHER[0]}{after_agent}{_FURTHER[1]}{after_user}"
    if not found or space.strip() or long != f"{first}{_AGENT}{after_agent}{further}":
        raise _changes_turns(vocabulary)
    return after_agent, after_user


def _changes_turns(vocabulary: Vocabulary) -> ModelError:
    return ModelError(
        f"the chat template of model {vocabulary.model!r} renders a turn differently once later turns follow, so a "
        "conversation cannot grow by its new tokens. Set tokenizer.chat_template to one that keeps earlier turns as "
        "they are, and save model and tokenizer into a folder"
    )


def _talk(*texts: str) -> list[Message]:
    """Messages by turns, the user first."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def _rendered(vocabulary: Vocabulary, messages: Sequence[Message], tokenize: bool = False) -> Any:
    from jinja2 import TemplateError

    tokenizer: Any = vocabulary.tokenizer
    try:
        return tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, tokenize=tokenize, return_dict=False
        )
    except TemplateError as error:
        roles = [message["role"] for message in messages]
        raise ModelError(
            f"the chat template of model {vocabulary.model!r} refuses messages with the roles {roles}: {error}"
        ) from error
