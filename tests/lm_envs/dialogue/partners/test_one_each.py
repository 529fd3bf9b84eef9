"""Partners for one conversation, in every form that people write them in, and every way in which they go wrong."""

import asyncio
import copy
import functools
import pickle
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lm_envs.dialogue.partners import Message, Opening, Partners, Reply
from lm_envs.dialogue.partners.one_each import OneEach
from lm_envs.dialogue.partners.registry import make_partners
from lm_envs.dialogue.partners.replies import checked_openings, checked_replies, partner_failures
from lm_envs.errors import ConfigurationError, ModelError, PartnerError

HELLO = Message(role="user", content="Hello.")
HI = Message(role="assistant", content="Hi!")
HISTORY = [HELLO, HI]


class Counter:
    """Counts its own turns; its random opening shows which generator it got."""

    columns = ("goal",)
    default_reward = "turn_cost"

    def __init__(self, last: int = 2) -> None:
        self.last = last

    def open(self, rng: np.random.Generator) -> Opening:
        self.n_turns = 0
        return Opening([{"role": "user", "content": f"Draw {rng.integers(1000)}."}], {"goal": self.last})

    def reply(self, history: list[Message]) -> Reply:
        self.n_turns += 1
        return Reply(f"Turn {self.n_turns}.", done=self.n_turns == self.last, terms={"turns": 1.0}, success=True)


class AsyncCounter(Counter):
    async def open(self, rng: np.random.Generator) -> Opening:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().open(rng)

    async def reply(self, history: list[Message]) -> Reply:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().reply(history)


def echo(history: list[Message], ending: str = "?") -> str:
    return history[-1]["content"] + ending if history else "Hello."


async def async_echo(history: list[Message]) -> str:
    await asyncio.sleep(0)
    return echo(history)


def rngs(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(n)]


def opened(partner: Any, n: int = 2, **kwargs: Any) -> OneEach:
    partners = OneEach(partner, n, kwargs)
    partners.open(range(n), [0] * n, rngs(n))
    return partners


class TestForms:
    @pytest.mark.parametrize("partner", [Counter, AsyncCounter, lambda: Counter()])
    def test_a_class_has_an_object_for_each_row(self, partner: Callable) -> None:
        partners = OneEach(partner, 3)
        openings = partners.open([0, 1, 2], [5, 6, 7], rngs(3))
        expected = [f"Draw {rng.integers(1000)}." for rng in rngs(3)]
        assert [opening.messages[-1]["content"] for opening in openings] == expected
        assert [opening.columns for opening in openings] == [{"goal": 2}] * 3
        assert (partners.columns, partners.default_reward) == (("goal",), "turn_cost")
        assert [reply.text for reply in partners.reply([0, 2], [HISTORY] * 2)] == ["Turn 1."] * 2
        replies = partners.reply([0, 1], [HISTORY] * 2)
        assert replies == [Reply("Turn 2.", True, {"turns": 1.0}, True), Reply("Turn 1.", False, {"turns": 1.0}, True)]
        partners.open([0], [0], rngs(1))
        assert partners.reply([0], [HISTORY])[0].text == "Turn 1."

    @pytest.mark.parametrize("partner", [echo, async_echo, functools.partial(echo)])
    def test_a_function_is_called_with_the_messages(self, partner: Callable) -> None:
        partners = OneEach(partner, 2)
        openings = partners.open([0, 1], [0, 0], rngs(2))
        assert openings == [Opening([HELLO])] * 2
        assert partners.reply([1], [HISTORY]) == [Reply("Hi!?")]

    def test_a_class_whose_objects_are_functions(self) -> None:
        class Remembers:
            n = 0

            def __call__(self, history: list[Message]) -> str:
                self.n += 1
                return f"Call {self.n}."

        partners = opened(Remembers)
        partners.reply([0], [HISTORY])
        assert [reply.text for reply in partners.reply([0, 1], [HISTORY] * 2)] == ["Call 3.", "Call 2."]
        shared = opened(Remembers())
        assert [reply.text for reply in shared.reply([0, 1], [HISTORY] * 2)] == ["Call 3.", "Call 4."]

    def test_arguments(self) -> None:
        assert opened(Counter, last=1).reply([0], [HISTORY])[0].done
        assert opened(echo, ending="!!").reply([0], [HISTORY])[0].text == "Hi!!!"

    def test_a_partner_without_attributes(self) -> None:
        assert (OneEach(echo, 1).columns, OneEach(echo, 1).default_reward) == ((), "partner")
        assert Partners.columns == ()

    @pytest.mark.parametrize(
        ("reply", "full"),
        [
            ("Yes.", Reply("Yes.")),
            (("Yes.", np.True_), Reply("Yes.", True)),
            (("", True), Reply("", True)),
            (("Yes.", False, {"joy": 1}), Reply("Yes.", False, {"joy": 1.0})),
            (Reply("Bye.", True, {"joy": np.float32(0.5)}, np.True_), Reply("Bye.", True, {"joy": 0.5}, True)),
        ],
    )
    def test_replies_become_full(self, reply: Any, full: Reply) -> None:
        found = opened(lambda history: reply if history else "Hello.").reply([0], [HISTORY])[0]
        assert found == full
        assert type(found.done) is bool
        assert all(type(value) is float for value in found.terms.values())

    def test_through_the_argument_of_the_environment(self) -> None:
        partners = make_partners(Counter, 2, {"last": 1}, {"split": "train", "device": "cpu"})
        assert isinstance(partners, OneEach)
        assert partners.name == "Counter"

    def test_copies(self) -> None:
        partners = opened(Counter)
        for twin in (copy.deepcopy(partners), pickle.loads(pickle.dumps(partners))):
            assert twin.reply([0], [HISTORY]) == [Reply("Turn 1.", False, {"turns": 1.0}, True)]
        assert partners.reply([0], [HISTORY])[0].text == "Turn 1."


def test_a_partner_cannot_change_what_was_said() -> None:
    def forgetful(history: list[Message]) -> str:
        if history:
            history.pop()["content"] = "nothing"
        return "What?"

    history = [Message(role="user", content="Hello."), Message(role="assistant", content="Hi!")]
    opened(forgetful).reply([0], [history])
    assert history == HISTORY


def test_coroutines_of_a_step_are_awaited_together() -> None:
    everybody = threading.Barrier(4, timeout=10)

    async def slow(history: list[Message]) -> str:
        await asyncio.get_running_loop().run_in_executor(None, everybody.wait)
        return "Yes."

    partners = OneEach(slow, 4)
    partners.open(range(4), [0] * 4, rngs(4))
    assert partners.reply(range(4), [HISTORY] * 4) == [Reply("Yes.")] * 4


def broken(history: list[Message]) -> str:
    if history and history[0]["content"] == "Bad.":
        raise ValueError("no idea")
    return "Hello."


async def async_broken(history: list[Message]) -> str:
    return broken(history)


def mixed(history: list[Message]) -> Any:
    """Asynchronous in the rows before the one that raises at once."""
    return broken(history) if history and history[0]["content"] == "Bad." else async_broken(history)


class TestErrors:
    @pytest.mark.parametrize("partner", [broken, async_broken, mixed])
    def test_a_partner_that_raises(self, partner: Callable) -> None:
        partners = OneEach(partner, 3)
        partners.open(range(3), [0] * 3, rngs(3))
        bad = [Message(role="user", content="Bad."), HI, HELLO, Message(role="assistant", content="What?")]
        message = (
            rf"the partner '{partner.__name__}' raised ValueError: no idea \(row 2\). A partner has to answer .*"
            r"Last said: user: 'Hello.' \| assistant: 'What\?'$"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(PartnerError, match=message) as caught:
                partners.reply([0, 2], [HISTORY, bad])
        assert isinstance(caught.value.__cause__, ValueError)

    @pytest.mark.parametrize("is_async", [False, True])
    def test_errors_of_this_package_pass(self, is_async: bool) -> None:
        def fails(history: list[Message]) -> str:
            raise ModelError("no model")

        async def fails_later(history: list[Message]) -> str:
            return fails(history)

        with pytest.raises(ModelError, match="^no model$"):
            opened(fails_later if is_async else fails)

    @pytest.mark.parametrize(
        ("reply", "message"),
        [
            (None, r"returned None. Look for a missing return \(row 1\). Expected a Reply, the user's turn as a text"),
            (7, "returned 7. Look"),
            (("Yes.",), r"returned \('Yes.',\)"),
            (("Yes.", True, {}, True), "returned .'Yes.', True, .*Expected a Reply"),
            (["Yes.", True], "returned .'Yes.', True."),
            ("", "returned the turn '', but not done; only the last turn may be empty"),
            ("  \n", "returned the turn '  .n', but not done"),
            (("", False), "but not done"),
            ((None, True), "returned the text None"),
            ((b"Yes.", True), "returned the text b'Yes.'"),
            (("Yes.", {"joy": 1.0}), "returned done = {'joy': 1.0}; it has to be True or False"),
            (("Yes.", "False"), "returned done = 'False'"),
            (("Yes.", True, [1.0]), r"returned the terms \[1.0\]; they have to be a mapping"),
            (("Yes.", True, {"joy": float("nan")}), "returned the term 'joy' = nan; it has to be a finite number"),
            (("Yes.", True, {"joy": float("inf")}), "returned the term 'joy' = inf"),
            (("Yes.", True, {"joy": "much"}), "returned the term 'joy' = 'much'"),
            (("Yes.", True, {"joy": None}), "returned the term 'joy' = None"),
            (("Yes.", True, {3: 1.0}), "returned the term 3 = 1.0; it has to be a finite number under a text"),
            (Reply("Yes.", success=0.5), "returned success = 0.5; it has to be True, False or None"),  # type: ignore[arg-type]
            (Reply("Yes.", info=[1]), r"returned info = \[1\]; it has to be a mapping"),  # type: ignore[arg-type]
        ],
    )
    def test_replies_that_are_none(self, reply: Any, message: str) -> None:
        partners = opened(lambda history: reply if history else "Hello.")
        with pytest.raises(PartnerError, match=f"the partner '<lambda>' .*{message}") as caught:
            partners.reply([1], [HISTORY])
        assert "Last said: user: 'Hello.' | assistant: 'Hi!'" in str(caught.value)

    @pytest.mark.parametrize(
        ("opening", "message"),
        [
            (None, "began a conversation with None. Expected an Opening, or the user's first turn.*no messages at the"),
            ("", "began a conversation with ''"),
            (("Bye.", True), "began a conversation with .'Bye.', True."),
            (7, "began a conversation with 7"),
            (Opening([]), r"began with the messages \[\]. Expected messages of which the last is a turn of the user"),
            (Opening(HISTORY), "of which the last is a turn of the user with a text"),
            (Opening([{"role": "user", "content": " "}]), "of which the last is a turn of the user with a text"),
            (Opening([{"role": "human", "content": "Hi"}]), "Expected a list of {'role': 'system', 'user' or"),
            (Opening("Hello."), "began with the messages 'Hello.'. Expected a list"),  # type: ignore[arg-type]
            (Opening([HELLO], {"goal": 1}), r"columns \['goal'\], and its attribute `columns` names \[\]"),
        ],
    )
    def test_openings_that_are_none(self, opening: Any, message: str) -> None:
        with pytest.raises(PartnerError, match=f"the partner '<lambda>' .*{message}"):
            opened(lambda history: opening)

    def test_missing_columns(self) -> None:
        class Announces(Counter):
            columns = ("goal", "persona")  # type: ignore[assignment]

        with pytest.raises(PartnerError, match=r"'Announces' began with the columns \['goal'\].*\['goal', 'persona'\]"):
            opened(Announces)

    @pytest.mark.parametrize(
        ("partner", "arguments", "message"),
        [
            (
                Counter,
                {"lst": 2},
                r"'Counter' cannot be called with partner_kwargs=.*'lst'.* parameters are \(last: int = 2\)",
            ),
            (echo, {"end": "!"}, "'echo'.* cannot be called with the messages so far and partner_kwargs=.*'end'"),
            (
                lambda: "Hello.",
                {},
                "made 'Hello.'; expected an object with the methods open.rng. and reply.history.*def",
            ),
            (dict, {}, "the partner 'dict' made {}; expected an object"),
        ],
    )
    def test_partners_that_are_none(self, partner: Any, arguments: dict, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            OneEach(partner, 2, arguments)

    def test_a_partner_that_cannot_be_made(self) -> None:
        class Offline(Counter):
            def __init__(self) -> None:
                raise OSError("no connection")

        with pytest.raises(PartnerError, match=r"the partner 'Offline' raised OSError: no connection \(row 0\)"):
            OneEach(Offline, 2)


class TestBatched:
    """The same checks for the partners of many conversations."""

    def test_one_answer_for_each_row(self) -> None:
        partners = OneEach(echo, 3)
        with pytest.raises(
            PartnerError, match=r"reply of the partner 'echo' returned \[\] for 2 rows. Expected a list"
        ):
            checked_replies(partners, [0, 1], [], [HISTORY] * 2)
        with pytest.raises(PartnerError, match="reply of the partner 'echo' returned None for 1 rows"):
            checked_replies(partners, [0], None, [HISTORY])  # type: ignore[arg-type]
        with pytest.raises(PartnerError, match="open of the partner 'echo' returned None for 1 rows. Expected a list"):
            checked_openings(partners, [0], None)  # type: ignore[arg-type]

    def test_each_answer(self) -> None:
        partners = OneEach(echo, 3)
        assert checked_openings(partners, [0], ["Hello."]) == [Opening([HELLO])]
        assert checked_replies(partners, np.array([2]), [("Yes.", False)], [HISTORY]) == [Reply("Yes.")]
        with pytest.raises(PartnerError, match=r"'echo' returned the turn '', but not done.*\(row 2\)"):
            checked_replies(partners, [0, 2], [Reply("Yes."), Reply("")], [HISTORY] * 2)

    def test_failures(self) -> None:
        with pytest.raises(PartnerError, match=r"'mine' raised KeyError: 'goal' \(rows \[0, 3\]\).*assistant: 'Hi!'"):
            with partner_failures("mine", [0, 3], HISTORY):
                raise KeyError("goal")
