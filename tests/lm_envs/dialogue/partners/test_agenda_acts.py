"""What an agent at the help desk can do, and what it believes."""

import copy
import pickle

import numpy as np
import pytest

from lm_envs.dialogue.partners.agenda import AgendaPartners
from lm_envs.dialogue.partners.agenda_acts import DeskActs
from lm_envs.dialogue.partners.agenda_policy import HandWrittenPolicy
from lm_envs.world import check_turn
from lm_envs.world.dialogues import DOMAINS, GOAL_SLOTS, draw_goal, say
from lm_envs.world.understanding import understand

OPENING = "Hello. I would like to book a table for Friday."


def acts_after(*texts, domains=DOMAINS):
    acts = DeskActs(2, domains)
    acts.begin(1, texts[0])
    for text in texts[1:]:
        acts.hear(1, text)
    return acts


def on(acts, row=1):
    labels = [*acts.domains, *acts.slots, "repeated", "unclear"]
    state = acts.state(row)
    assert state.shape == (acts.state_size,) and state.dtype == np.int8
    return {label for label, bit in zip(labels, state, strict=True) if bit}


def test_names():
    acts = DeskActs(1, DOMAINS)
    assert acts.names[:4] == ("ask.people", "ask.day", "ask.time", "ask.customer")
    assert acts.names[-4:] == ("confirm", "suggest", "continue", "close")
    assert len(set(acts.names)) == len(acts.names) == 15
    assert DeskActs(1, ["hours"]).names == ("ask.shop", "ask.day", "confirm", "suggest", "continue", "close")


def test_the_state_is_what_has_been_said():
    assert on(acts_after(OPENING)) == {"book", "day"}
    assert on(acts_after(OPENING, "For two people.")) == {"book", "day", "people"}
    assert on(acts_after(OPENING, "On Friday, please.")) == {"book", "day", "repeated"}
    assert on(acts_after(OPENING, "On Friday, please.", "At six, please.")) == {"book", "day", "time"}
    assert on(acts_after(OPENING, "Table the.")) == {"book", "day", "unclear"}
    assert on(acts_after("Table the.")) == {"unclear"}
    assert on(acts_after(OPENING), row=0) == set()


def test_a_new_conversation_starts_afresh():
    acts = acts_after(OPENING, "For two people.")
    acts.begin(1, "Hello. I have a problem.")
    assert on(acts) == {"fault"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_act_is_said_in_the_worlds_words_and_recognised(domain):
    rng = np.random.default_rng(0)
    acts = acts_after(say(f"open.{domain}", {}, rng))
    for _ in range(20):
        for act, name in enumerate(acts.names):
            text = acts.phrase(1, act, rng)
            assert acts.recognises(1, act, text), (name, text)
            assert not acts.recognises(1, act, "Day the.")
            if name != "continue" and not (name == "suggest" and domain in ("book", "hours")):  # there: "Sure."
                assert check_turn("assistant", text).complete
            if name.startswith("ask.") and name[4:] in GOAL_SLOTS[domain]:
                heard = understand("assistant", text, domain)
                assert heard is not None and heard.act == f"ask.{domain}.{name[4:]}"


@pytest.mark.parametrize(("domain", "promise"), [("fault", {"visit": "today"}), ("return", {"delay": "two days"})])
def test_suggest_promises_the_soonest_date(domain, promise):
    rng = np.random.default_rng(0)
    acts = acts_after(say(f"open.{domain}", {}, rng))
    suggest, confirm = acts.names.index("suggest"), acts.names.index("confirm")
    for _ in range(20):
        text = acts.phrase(1, suggest, rng)
        heard = understand("assistant", text, domain)
        assert heard is not None and promise.items() <= dict(heard.slots).items()
        assert acts.recognises(1, confirm, text)
    assert not all(acts.recognises(1, suggest, acts.phrase(1, confirm, rng)) for _ in range(20))


@pytest.mark.parametrize("domain", DOMAINS)
def test_confirm_states_what_is_known(domain):
    rng = np.random.default_rng(1)
    for _ in range(20):
        goal, _ = draw_goal(domain, rng)
        tells = [say(f"tell.{domain}.{slot}", goal, rng) for slot in goal]
        acts = acts_after(say(f"open.{domain}", {}, rng), *tells)
        assert on(acts) == {domain, *goal}
        confirm = acts.names.index("confirm")
        text = acts.phrase(1, confirm, rng)
        heard = understand("assistant", text, domain)
        assert heard is not None and heard.act == f"done.{domain}"
        assert {slot: value for slot, value in heard.slots.items() if slot in goal}.items() <= goal.items()
        assert acts.recognises(1, confirm, text)


def test_a_confirmation_of_something_else_is_not_recognised():
    acts = acts_after(OPENING)
    confirm = acts.names.index("confirm")
    assert acts.recognises(1, confirm, "Your table is ready on Friday at six for two people, Tom.")
    assert not acts.recognises(1, confirm, "Your table is ready on Sunday at six for two people, Tom.")


def test_the_belief_follows_the_users_own_turns():
    partners = AgendaPartners(1, domains=["fault"])
    (opened,) = partners.open([0], [0], [np.random.default_rng(0)])
    history = [*opened.messages, {"role": "assistant", "content": "Since when?"}]
    before = partners.acts.state(0)
    partners.reply([0], [history])
    assert (partners.acts.state(0) - before).sum() == 1


def test_a_policy_without_an_idea_lets_the_user_go_on():
    acts = acts_after("Table the.")
    assert acts.names[HandWrittenPolicy(acts).choose(acts.state(1))] == "continue"


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda acts: pickle.loads(pickle.dumps(acts))])
def test_copies(clone):
    acts = acts_after(OPENING)
    copied = clone(acts)
    acts.hear(1, "For two people.")
    assert on(copied) == {"book", "day"}


def test_no_phrase_is_longer_than_the_longest() -> None:
    """By words: whatever the conversation is about, and whatever the user has told."""
    acts, rng = DeskActs(1, DOMAINS), np.random.default_rng(0)
    longest = max(len(text.split()) for text in acts.longest_phrases(lambda word: word.isalpha()))
    found = 0
    for domain in DOMAINS * 15:
        goal, _ = draw_goal(domain, rng)
        acts.begin(0, say(f"open.{domain}", goal, rng))
        for slot in GOAL_SLOTS[domain]:
            acts.hear(0, say(f"tell.{domain}.{slot}", goal, rng))
        for act in range(len(acts.names)):
            found = max(found, len(acts.phrase(0, act, rng).split()))
    assert longest - 2 <= found <= longest
