"""Help-desk dialogues."""

import numpy as np
import pytest

from lm_envs.errors import UnknownNameError
from lm_envs.world import check_turn, dialogue_items
from lm_envs.world.dialogues import DOMAINS, GOAL_SLOTS, draw_goal, generate, say


def dialogues(seed, n=60):
    rng = np.random.default_rng(seed)
    return [generate(rng) for _ in range(n)]


@pytest.mark.parametrize("seed", range(5))
def test_every_turn_is_accepted(seed):
    for dialogue in dialogues(seed):
        for turn in dialogue.turns:
            report = check_turn(turn.role, turn.text)
            assert report.ok and report.complete, (turn, report)


def test_every_cut_turn_is_accepted():
    for dialogue in dialogues(1, n=5):
        for turn in dialogue.turns:
            for end in range(1, len(turn.text)):
                if not turn.text[:end].endswith(" "):
                    assert check_turn(turn.role, turn.text[:end]).ok, turn.text[:end]


@pytest.mark.parametrize("domain", DOMAINS)
def test_speakers_alternate_and_every_slot_is_told(domain):
    for dialogue in (d for d in dialogues(2) if d.domain == domain):
        assert [t.role for t in dialogue.turns] == ["user", "assistant"] * (len(dialogue.turns) // 2)
        said = " ".join(turn.text.lower() for turn in dialogue.turns if turn.role == "user")
        assert all(value.lower() in said for value in dialogue.goal.values())
        assert tuple(dialogue.goal) == GOAL_SLOTS[domain]


def test_the_answer_is_told_by_the_assistant():
    for dialogue in (d for d in dialogues(3) if d.domain == "hours"):
        told = next(turn.text for turn in dialogue.turns if turn.act == "done.hours")
        assert all(value in told for value in dialogue.answer.values())


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("user", ""),
        ("user", "table a book want I."),
        ("user", "I want to book a table for Monday for"),
        ("user", "For how many people?"),
        ("assistant", "I would like to return a lamp."),
        ("assistant", "for how many people?"),
        ("assistant", "For how many people ?"),
        ("user", "I would like to return an lamp."),
        ("user", "😀"),
    ],
)
def test_wrong_turns_are_refused(role, text):
    report = check_turn(role, text)
    assert not report.ok and report.reason


def test_messages_have_a_system_message_on_demand():
    dialogue = dialogues(4, n=1)[0]
    assert [m["role"] for m in dialogue.messages(system=True)][:2] == ["system", "user"]
    assert dialogue.messages()[0] == {"role": "user", "content": dialogue.turns[0].text}


def test_splits_are_disjoint_and_deterministic():
    def keys(split):
        return {(d.turns[0].text, tuple(d.goal.items())) for d in dialogue_items(split)}

    assert len(keys("test")) == len(keys("validation")) == 512
    assert not keys("test") & keys("validation")
    assert not keys("test") & keys("train")
    assert not {(d.turns[0].text, tuple(d.goal.items())) for d in dialogues(5, n=400)} & keys("test")


def test_say_uses_the_given_slots():
    rng = np.random.default_rng(0)
    assert "Sunday" in say("tell.book.day", {"day": "Sunday"}, rng)
    assert "your money back" in say("done.return", {"item": "lamp", "refund": "my money back"}, rng)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="unknown dialogue domain 'bok'. Did you mean 'book'"):
        draw_goal("bok", np.random.default_rng(0))
    with pytest.raises(UnknownNameError, match="unknown role 'users'. Did you mean 'user'"):
        check_turn("users", "Hello.")
