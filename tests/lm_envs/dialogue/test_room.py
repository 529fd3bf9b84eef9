"""Conversations keep within ``max_tokens``, whatever is said, with room for a whole turn of the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.conversation import Conversation
from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.room import Room
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.token_state import TokenState
from lm_envs.vocabulary import load_vocabulary


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def agent(text: str) -> Any:
    return {"role": "assistant", "content": text}


class Talk:
    """One conversation in one row of tokens, with what the environment does in each turn."""

    def __init__(self, messages: list[Any], **config: Any) -> None:
        self.config = DialogueConfig(**config)
        vocabulary = load_vocabulary(self.config.model)
        self.frames = ChatFrames(vocabulary)
        self.room = Room(self.config, self.frames)
        kept, ids = self.room.opening(messages)
        rng = np.random.default_rng(0)
        self.talk = Conversation(kept, len(kept), rng, {}, ids, [len(ids)], [kept[-1]["content"]])
        self.state = TokenState(1, self.config.max_tokens, vocabulary.pad_id)
        self.state.start(np.array([0]), np.array([ids]), np.array([len(ids)]))
        self.written: list[list[int]] = []  # by the agent, turn by turn

    @property
    def ids(self) -> list[int]:
        """All tokens of the row."""
        return [int(token) for token in self.state.input_ids[0, : self.state.lengths[0]]]

    @property
    def text(self) -> str:
        """Their text, special tokens too."""
        decoded = self.frames.vocabulary.tokenizer.decode(self.ids, clean_up_tokenization_spaces=False)
        assert isinstance(decoded, str)
        return decoded

    def turn(self, tokens: list[int], answer: str) -> bool:
        """The agent writes, the user answers; whether there was room."""
        assert len(tokens) <= self.config.max_turn_tokens
        self.state.extend(0, tokens)
        self.written.append(tokens)
        self.talk.say("assistant", self.frames.vocabulary.decode([tokens])[0])
        (text,), (ids,) = self.room.answers([answer], [tokens[-1] == self.frames.turn_end_id])
        self.talk.say("user", text)
        return self.room.append(self.state, 0, self.talk, ids)

    def check(self) -> None:
        """Room for a whole turn; the agent's turns stand where they should, as they were written."""
        length = int(self.state.lengths[0])
        assert length + self.config.max_turn_tokens <= self.config.max_tokens
        assert length == self.state.prompt_lengths[0] == self.state.attention_mask[0].sum()
        assert (self.state.input_ids[0, length:] == self.state.pad_id).all()
        *starts, last = self.talk.turn_starts
        assert last == length and len(self.talk.answered) == len(starts) + 1
        recent = self.written[len(self.written) - len(starts) :]
        for start, tokens in zip(starts, recent, strict=True):
            assert self.ids[start : start + len(tokens)] == tokens
        assert self.talk.answered[-1] == self.talk.messages[-1]["content"]
        asks_for_a_turn = self.frames.opening([user("")])[-1]
        assert self.ids[-1] == asks_for_a_turn


SMALL = {"model": "tiny", "max_tokens": 40, "max_turn_tokens": 8, "max_user_tokens": 8}


def test_the_end_where_there_is_no_room() -> None:
    talk = Talk([user("I want a table.")], **SMALL)
    turns = 0
    while talk.turn([9, 10, 11, 2], "For two, please."):
        talk.check()
        turns += 1
    before, after = talk.ids, 11  # tokens of a turn: 4 of the agent, 4 of the user, 3 of the frame at least
    assert turns > 0 and len(before) + after > 40 - 8
    assert talk.talk.messages[-1] == user("For two, please.")


def test_dropping_begins_with_a_later_turn_of_the_user() -> None:
    system = {"role": "system", "content": "Be kind."}
    talk = Talk([system, user("I want a table.")], on_overflow="drop", **SMALL)
    answers = ["For two.", "At seven.", "On Friday.", "Yes.", "No.", "At nine.", "Bye."]
    for number, answer in enumerate(answers):
        assert talk.turn([20 + number, 2], answer)
        talk.check()
    n_left = len(talk.talk.turn_starts) - 1
    assert 0 < n_left < len(answers) - 1
    said = [turn for pair in zip(talk.written, answers, strict=True) for turn in pair]
    recent = said[-2 * n_left :]
    expected = [*talk.frames.opening([system, user(answers[-n_left - 1])])]
    for tokens, answer in zip(recent[::2], recent[1::2], strict=True):
        expected += [*tokens, *talk.frames.answers([str(answer)], [True])[0]]  # type: ignore[misc]
    assert talk.ids == expected
    assert len(talk.talk.messages) == 2 + 2 * len(answers)  # all that was said is remembered


def test_of_the_turns_no_more_are_dropped_than_must_be() -> None:
    talk = Talk([user("a")], on_overflow="drop", **SMALL)
    for _ in range(30):
        before = talk.state.lengths[0]
        n_turns = len(talk.talk.turn_starts)
        talk.turn([9, 2], "b")
        talk.check()
        if len(talk.talk.turn_starts) <= n_turns and before:
            assert talk.state.lengths[0] > 40 - 8 - 7


def test_one_huge_turn_of_the_user_is_cut() -> None:
    talk = Talk([user("Hello.")], **SMALL)
    assert talk.turn([9, 10], "the table " * 50)
    talk.check()
    (n_tokens,) = talk.frames.lengths([talk.talk.messages[-1]["content"]])
    assert n_tokens == 8 and ("the table " * 50).startswith(talk.talk.messages[-1]["content"])


def test_a_turn_that_just_fits_is_not_cut() -> None:
    talk = Talk([user("Hello.")], **SMALL)
    text = talk.frames.cut("the table " * 50, 8)
    assert talk.frames.lengths([text]) == [8]
    for tokens in ([9, 10], [9, 2]):
        assert talk.turn(tokens, text)
        assert talk.talk.messages[-1]["content"] == text


def test_only_the_new_turn_is_left_where_nothing_else_fits() -> None:
    system = {"role": "system", "content": "Be very kind to all of them, and to me."}
    config = {**SMALL, "max_tokens": 38, "max_user_tokens": 20}
    talk = Talk([system, user("a")], on_overflow="drop", **config)
    question = "Do you have a table for two people at the window on Friday at seven?"
    talk.turn([9] * 8, question)
    talk.check()
    assert len(talk.talk.turn_starts) == 1
    assert talk.ids == talk.frames.opening([system, talk.talk.messages[-1]])
    said = talk.talk.messages[-1]["content"]
    assert question.startswith(said) and 8 < talk.frames.lengths([said])[0] < 20  # the partner's message is that long


def test_a_long_context_loses_its_oldest_turns() -> None:
    system = {"role": "system", "content": "Be kind."}
    context = [system, user("one " * 20), agent("Yes."), agent("And?"), user("two"), agent("Fine."), user("three")]
    talk = Talk(context, **SMALL)
    assert talk.talk.messages == [system, user("two"), agent("Fine."), user("three")]
    talk.check()


def test_a_greeting_of_the_agent_is_a_turn_too() -> None:
    talk = Talk([agent("Welcome to the shop. " * 9), user("I want a lamp.")], **SMALL)
    assert talk.talk.messages == [user("I want a lamp.")]
    talk.check()


def test_the_context_goes_before_the_agents_first_turn() -> None:
    context = [user("one" + " one" * 8), agent("Yes."), user("two three four")]
    talk = Talk(context, on_overflow="drop", **SMALL)
    assert talk.talk.messages == context
    talk.turn([9, 10, 2], "three four five six")
    talk.check()
    expected = [*talk.frames.opening(context[2:]), 9, 10, 2]
    assert talk.ids == [*expected, *talk.frames.answers(["three four five six"], [True])[0]]


def test_a_huge_opening_is_cut(chat_folder: str) -> None:
    talk = Talk([user("🙂 the table " * 300)], model=chat_folder, max_tokens=90, max_turn_tokens=9, max_user_tokens=9)
    talk.check()
    kept = talk.talk.messages[0]["content"]
    assert ("🙂 the table " * 300).startswith(kept) and 60 < len(talk.ids) <= 81
    assert talk.text == load_vocabulary(chat_folder).tokenizer.apply_chat_template(
        [user(kept)], tokenize=False, add_generation_prompt=True
    )


def test_a_system_message_that_leaves_no_room() -> None:
    with pytest.raises(DataError, match="system message leaves no room .* = 32 tokens. Raise max_tokens. It begins"):
        Talk([{"role": "system", "content": "be kind and " * 30}, user("Hello.")], **SMALL)


@pytest.mark.parametrize("system", [None, "Be kind to them all."])
def test_max_tokens_too_small(chat_folder: str, system: str | None) -> None:
    config = {"model": chat_folder, "max_turn_tokens": 8, "max_user_tokens": 8, "system": system}
    with pytest.raises(
        ConfigurationError, match=r"max_tokens = 12 leaves no room .* Set max_tokens to (\d+) or more"
    ) as e:
        Talk([user("a")], max_tokens=12, **config)
    least = int(str(e.value).split("Set max_tokens to ")[1].split()[0])
    with pytest.raises(ConfigurationError, match=f"Set max_tokens to {least} or more"):
        Talk([user("a")], max_tokens=least - 1, **config)
    talk = Talk([user("two tables and three lamps " * 9)], max_tokens=least, on_overflow="drop", **config)
    for _ in range(3):
        assert talk.turn([9] * 8, "two tables and three lamps " * 9)
        talk.check()


words = st.lists(st.sampled_from(["table", "🙂", "é", "  ", "\n", "x", "7", "<|endofturn|>", "Bye."]), max_size=30)
texts = words.map(" ".join).filter(str.strip)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["tiny", "chatml", "llama2", "plain"]),
    st.lists(texts, min_size=1, max_size=3),
    st.lists(st.tuples(st.lists(st.integers(6, 300), min_size=1, max_size=9), st.booleans(), texts), max_size=12),
    st.integers(0, 40),
    st.booleans(),
)
def test_there_is_always_room(
    chat_model: Callable[[str], str],
    name: str,
    opening: list[str],
    turns: list[tuple[list[int], bool, str]],
    more: int,
    system: bool,
) -> None:
    messages = [{"role": "system", "content": "Be kind."}] if system else []
    messages.append(user(opening[0]))
    for text in opening[1:]:
        messages += [agent(text), user(text)]
    config = {"model": chat_model(name), "max_turn_tokens": 10, "max_user_tokens": 12, "max_tokens": 80 + more}
    talk = Talk(messages, on_overflow="drop", **config)
    talk.check()
    for tokens, ends, answer in turns:
        assert talk.turn([*tokens, talk.frames.turn_end_id] if ends else tokens, answer)
        talk.check()
        (framed,) = talk.frames.answers([talk.talk.messages[-1]["content"]], [False])
        assert len(framed) <= talk.frames.answer_length(False) + 12
