"""Reading turns of the help desk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_envs.errors import UnknownNameError
from lm_envs.world import dialogue_items
from lm_envs.world.dialogues import DOMAINS, ROLES, dialogue_grammar, draw_goal, say
from lm_envs.world.grammar import is_symbol
from lm_envs.world.politeness import is_polite
from lm_envs.world.understanding import GENERAL, GO_ON, PROMISES, acts_of, understand

ACTS = [
    (role, domain, act, symbol)
    for role in ROLES
    for domain in (*DOMAINS, GENERAL)
    for act, symbol in acts_of(role, domain).items()
]


def mentioned(symbol):
    """The slots that every alternative of the act mentions, under the goal's names."""
    options = dialogue_grammar().alternatives("{" + symbol + "}")
    return set.intersection(*({name_of(item) for item in option.symbols if is_symbol(item)} for option in options))


def name_of(item):
    return item.strip("{}").split(".")[0]


@given(st.sampled_from(ACTS), st.integers(0, 2**32 - 1))
def test_what_is_said_is_understood(spoken, seed):
    role, domain, act, symbol = spoken
    rng = np.random.default_rng(seed)
    goal, answer = draw_goal(domain or "book", rng)
    values = {**goal, **answer}
    text = say(symbol, values, rng)
    understood = understand(role, text, domain or None)
    assert understood is not None, text
    assert (understood.act, understood.domain) == (act, domain), text
    assert all(values.get(slot, value) == value for slot, value in understood.slots.items()), text
    assert understood.slots.keys() - values.keys() <= PROMISES.get(domain, {}).keys()
    if domain:
        assert mentioned(symbol) & values.keys() <= understood.slots.keys(), text


def test_every_turn_of_the_corpus_is_understood():
    for dialogue in dialogue_items("validation"):
        values = {**dialogue.goal, **dialogue.answer}
        for turn in dialogue.turns:
            understood = understand(turn.role, turn.text, dialogue.domain)
            assert understood is not None and understood.act == turn.act, turn
            own = {slot: value for slot, value in understood.slots.items() if slot not in ("delay", "visit")}
            assert own.items() <= values.items(), turn


@pytest.mark.parametrize("dialogue", dialogue_items("validation")[:20], ids=lambda dialogue: dialogue.domain)
def test_the_domain_need_not_be_known_for_an_opening_or_a_statement(dialogue):
    for turn in dialogue.turns:
        if turn.act.startswith(("open.", "done.")):
            understood = understand(turn.role, turn.text)
            assert understood is not None and understood.act == turn.act


def test_all_values_of_a_statement():
    text = "Your table is ready on Monday at noon for two people, Anna!"
    understood = understand("assistant", text)
    assert understood == ("done.book", {"people": "two", "day": "Monday", "time": "noon", "customer": "Anna"})
    assert understood.domain == "book" and understood.slot == ""


@pytest.mark.parametrize(
    ("role", "text", "act", "slots"),
    [
        (
            "assistant",
            "Sure. Please send the coat back, and you will get your money back.",
            "done.return",
            "my money back",
        ),
        ("user", "It started on Monday.", "tell.fault.since", "Monday"),
        ("user", "Since Monday.", "tell.fault.since", "Monday"),
        ("user", "I saw it this morning.", "tell.fault.since", "this morning"),
    ],
)
def test_values_are_spelled_as_in_goals(role, text, act, slots):
    understood = understand(role, text)
    assert understood is not None and understood.act == act and slots in understood.slots.values()


@pytest.mark.parametrize("when", ["on Monday", "today", "next week"])
def test_what_a_statement_promises(when):
    understood = understand("assistant", f"Thanks. We will repair your lamp {when}.")
    assert understood == ("done.fault", {"machine": "lamp", "visit": when})
    understood = understand("assistant", "Great. You will get a new one for the lamp in three days.")
    assert understood == ("done.return", {"item": "lamp", "refund": "a new one", "delay": "three days"})


@pytest.mark.parametrize(
    ("role", "text", "acts"),
    [
        ("user", "On Monday, please.", {"book": "tell.book.day", "hours": "tell.hours.day"}),
        ("assistant", "What is wrong with it?", {"return": "ask.return.reason", "fault": "ask.fault.fault"}),
    ],
)
def test_the_domain_decides_between_readings(role, text, acts):
    for domain, act in acts.items():
        understood = understand(role, text, domain)
        assert understood is not None and understood.act == act
    first = understand(role, text)
    assert first is not None and first.act == next(iter(acts.values()))


def test_another_domain_is_understood():
    understood = understand("assistant", "Which machine is it?", "book")
    assert understood is not None and understood.act == "ask.fault.machine" and understood.slot == "machine"


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("Do you. Which day do you want?", "ask.book.day"),
        ("Which day do you want? The lamp the", "ask.book.day"),
        ("Which day do you want? At what time?", "ask.book.time"),
        ("Which day do you want? You are welcome.", "ask.book.day"),
        ("Sure. Sure. Which day do you want?", "ask.book.day"),
        ("which day  do you want", "ask.book.day"),
        ("For how many people!", "ask.book.people"),
        ("Goodbye the. Have a nice day.", "assistant.bye"),
        ("Of course.", GO_ON),
        ("I see. Gladly.", GO_ON),
    ],
)
def test_the_sentences_that_are_understood_decide(text, act):
    understood = understand("assistant", text, "book")
    assert understood is not None and understood.act == act


@pytest.mark.parametrize(
    "text", ["", " ", ".", "...", "?!", "Day which you want do?", "😀 at what time?", "x" * 5000, "a. " * 500]
)
def test_what_is_not_understood(text):
    assert understand("assistant", text) is None


@given(st.sampled_from(ROLES), st.text(max_size=80))
def test_any_text_can_be_read(role, text):
    understand(role, text)


def test_roles_are_told_apart():
    assert understand("user", "For how many people?") is None
    assert understand("assistant", "I would like to book a table.") is None


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="unknown role 'users'. Did you mean 'user'"):
        understand("users", "Hello.")
    with pytest.raises(UnknownNameError, match="unknown dialogue domain 'bok'. Did you mean 'book'"):
        understand("user", "Hello.", "bok")


@pytest.mark.parametrize(
    "text", ["Sure. For which day?", "Thank you. Since when?", "You are welcome!", "A table, please."]
)
def test_polite(text):
    assert is_polite(text)


@pytest.mark.parametrize(
    "text", ["", "For which day?", "Yes we can?", "Your table is ready.", "I am sure it is pleased"]
)
def test_not_polite(text):
    assert not is_polite(text)
