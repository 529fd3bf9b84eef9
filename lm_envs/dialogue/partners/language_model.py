"""A frozen language model plays the user, from a persona that tells it who it is and what it wants."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.partners.personas import load_personas
from lm_envs.dialogue.partners.protocol import Message, Opening, Partners, Reply
from lm_envs.dialogue.partners.sides import SIDES, usual_side
from lm_envs.dialogue.turn_writer import TurnWriter
from lm_envs.environment_arguments import check_choice, positive_int
from lm_envs.errors import ConfigurationError
from lm_envs.vocabulary import load_vocabulary

GOODBYES = ("goodbye", "good bye", "bye")
SILENT_OPENING = "Hello."
SILENT_REPLY = "I see."
LONGEST = 1024
CUT_SLACK = 3  # tokens: a cut text may take a few more than it was cut to, where a character was cut in the middle


@dataclass
class _Talk:
    """One conversation as the language model sees it.

    Attributes:
        rng: The row's random numbers.
        opening: Tokens up to the model's first turn.
        turns: The tokens of each of the model's turns and of what it was told then.
    """

    rng: np.random.Generator
    opening: list[int]
    turns: list[list[int]] = field(default_factory=list)

    def tokens(self) -> list[int]:
        """The whole conversation."""
        return [*self.opening, *(token for turn in self.turns for token in turn)]


class LanguageModelPartners(Partners):
    """Users played by a frozen language model; the turns of all environments are written in one batch.

    A model made for chat sees the conversation with the roles swapped: the persona is its system message, what the
    agent says are its user's messages, and it writes the assistant's. Before its first turn the model, and nobody
    else, reads the greeting :data:`~lm_envs.dialogue.partners.sides.GREETING`, because most chat templates want a
    user's message first. Keys and values stay over the conversation: each token is read once, and what the model wrote
    is never tokenized again. A conversation that outgrows ``max_tokens`` loses its oldest turns, never the persona.

    A turn without text becomes :data:`SILENT_OPENING` or :data:`SILENT_REPLY`. The conversation is over when the user
    says one of ``goodbye``; whether the user got what it wanted is not known (``success`` is None).

    Args:
        num_rows: Number of conversations.
        split: ``"train"``, ``"validation"`` or ``"test"``: which personas.
        device: Where the model runs.
        model: Alias, hub id or folder; the environment passes its own model if this is left out. It needs a chat
            template and may have another tokenizer than the agent.
        personas: A list of texts; or a file: text with a persona a line, or a table with the column ``persona``, such
            as JSON lines. Lists and files are split as :func:`lm_envs.data.load_dataset` does. None: the customers of
            the small world's help desk with their goals in plain English.
        role: Whose turns the model writes in its own chat template. ``"assistant"``: the roles are swapped, as
            described. ``"user"``: the user's, as the conversation is, which suits models that were trained on both
            sides; the default personas are then the system messages of the help desk's dialogues. None: ``"user"`` for
            ``"tiny"``, which was, ``"assistant"`` for all others.
        max_new_tokens: The longest turn in the model's tokens; longer ones are cut. The environment's max_user_tokens
            cuts what the agent sees of it, in the agent's tokens.
        temperature: Of the distribution that tokens are drawn from; 0 takes the most probable token.
        top_p: Share of the probability that tokens are drawn from; None or 1 for all of it.
        goodbye: Words that end the conversation where a user's turn has one, in any case.
        max_tokens: The longest conversation in the model's tokens; None for 1024, or what the model was built for if
            that is less.
        dtype: ``"float32"`` or ``"bfloat16"``.
        trust_remote_code: Run code that comes with the model. Only for models that you trust.

    Raises:
        ConfigurationError: A value cannot work, or there is no room for conversations in ``max_tokens``.
        UnknownNameError: Unknown ``role``.
        DataError: ``personas`` is missing, empty or malformed.
        ModelError: The model cannot be loaded, or its chat template cannot frame a conversation.
    """

    columns: ClassVar[tuple[str, ...]] = ("persona",)
    default_reward: ClassVar[Mapping[str, float]] = {"user_sentiment": 1.0, "non_repetition": 0.2}

    def __init__(
        self,
        num_rows: int,
        split: str = "train",
        device: str = "cpu",
        model: str = "tiny",
        personas: str | Path | Sequence[str] | None = None,
        role: str | None = None,
        max_new_tokens: int = 32,
        temperature: float = 1.0,
        top_p: float | None = None,
        goodbye: Sequence[str] = GOODBYES,
        max_tokens: int | None = None,
        dtype: str = "float32",
        trust_remote_code: bool = False,
    ) -> None:
        role = usual_side(model) if role is None else role
        check_choice("role", role, tuple(SIDES))
        self.max_new_tokens = positive_int("max_new_tokens", max_new_tokens)
        self.temperature, self.top_p = _checked_sampling(temperature, top_p)
        self._goodbye = _any_word(goodbye)
        self.personas = load_personas(personas, split, role)
        self.n_scenarios = len(self.personas)
        vocabulary = load_vocabulary(model, trust_remote_code)
        self._frames = ChatFrames(vocabulary)
        self._side = SIDES[role](self._frames)
        if max_tokens is None:
            max_tokens = min(LONGEST, vocabulary.max_positions or LONGEST)
        self.max_tokens = positive_int("max_tokens", max_tokens)
        self._frame_length = len(self._side.answers([""])[0])
        self._check_room(self._side.opening(self.personas[0]), self.personas[0])
        self._writer = TurnWriter(vocabulary, num_rows, self.max_tokens, dtype, device)
        special = {self._frames.turn_end_id, *vocabulary.eos_ids, *vocabulary.tokenizer.all_special_ids}
        self._stop_ids = sorted(int(token) for token in special)
        self._talks: dict[int, _Talk] = {}

    @property
    def computed_tokens(self) -> int:
        """Number of token positions that the model has computed so far."""
        return self._writer.cache.computed_tokens

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Let the model begin conversations; see :meth:`Partners.open`."""
        personas = [self.personas[scenario] for scenario in scenarios]
        for row, persona, rng in zip(rows, personas, rngs, strict=True):
            opening = self._side.opening(persona)
            self._check_room(opening, persona)
            self._talks[row] = _Talk(rng, opening)
        texts = self._write(rows, SILENT_OPENING)
        return [
            Opening([Message(role="user", content=text)], {"persona": persona})
            for text, persona in zip(texts, personas, strict=True)
        ]

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """Let the model answer the agent's turns; see :meth:`Partners.reply`."""
        told = [
            self._cut(self._talks[row], history[-1]["content"]) for row, history in zip(rows, histories, strict=True)
        ]
        for row, ids in zip(rows, self._side.answers(told), strict=True):
            talk = self._talks[row]
            talk.turns[-1] += ids
            while len(talk.turns) > 1 and len(talk.tokens()) > self.max_tokens - self.max_new_tokens:
                del talk.turns[0]
        texts = self._write(rows, SILENT_REPLY)
        return [Reply(text, done=self._goodbye.search(text) is not None) for text in texts]

    def _write(self, rows: Sequence[int], silent: str) -> list[str]:
        """Let the model write a turn in each row, and return the texts."""
        talks = [self._talks[row] for row in rows]
        turns = self._writer.write(
            rows,
            [talk.tokens() for talk in talks],
            [talk.rng for talk in talks],
            self.max_new_tokens,
            self._stop_ids,
            self.temperature,
            self.top_p,
        )
        ids = [turn.tolist() for turn in turns]
        texts = [text.strip() for text in self._frames.vocabulary.decode(ids)]
        for i, text in enumerate(texts):
            if not text:
                texts[i] = silent
                ids[i] = self._frames.vocabulary.tokenizer(silent, add_special_tokens=False)["input_ids"]
            talks[i].turns.append(list(ids[i]))
        return texts

    def _cut(self, talk: _Talk, text: str) -> str:
        """What the agent says, no longer than fits beside the persona and the turn that it answers."""
        text = self._frames.plain(text)
        taken = len(talk.opening) + len(talk.turns[-1]) + self._frame_length + self.max_new_tokens
        room = self.max_tokens - taken - CUT_SLACK
        (length,) = self._frames.lengths([text])
        return text if length <= room else self._frames.cut(text, room)

    def _check_room(self, opening: Sequence[int], persona: str) -> None:
        """Check that a turn, an answer of the same length and another turn fit behind the persona."""
        needed = len(opening) + 3 * self.max_new_tokens + self._frame_length + CUT_SLACK
        if needed > self.max_tokens:
            raise ConfigurationError(
                f"max_tokens must be at least {needed} for a persona of {len(opening)} tokens and turns of "
                f"{self.max_new_tokens}, got {self.max_tokens}: raise max_tokens (or choose a model with a longer "
                f"context), lower max_new_tokens, or shorten the persona {persona[:80]!r}"
            )


def _checked_sampling(temperature: float, top_p: float | None) -> tuple[float, float]:
    if not 0.0 <= temperature < float("inf"):
        raise ConfigurationError(f"temperature must be a number of at least 0, got {temperature!r}. 0 is greedy")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ConfigurationError(f"top_p must be above 0 and at most 1, got {top_p!r}. 1 keeps all tokens")
    return temperature, 1.0 if top_p is None else top_p


def _any_word(words: Sequence[str]) -> re.Pattern[str]:
    """What finds any of some words; nothing where there are none."""
    if isinstance(words, str) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ConfigurationError(
            f"goodbye must be a list of texts, none of them empty, got {words!r}; an empty list lets only the "
            "environment end conversations"
        )
    either = "|".join(re.escape(word.strip()) for word in words)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)" if either else r"(?!)", re.IGNORECASE)
