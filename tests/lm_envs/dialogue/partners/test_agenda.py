"""The agenda-based user, turn by turn."""

import copy
import pickle
import time

import numpy as np
import pytest

from lm_envs.dialogue.partners.agenda import AgendaPartners
from lm_envs.dialogue.partners.agenda_goal import REQUESTS
from lm_envs.dialogue.partners.agenda_policy import HandWrittenPolicy
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.world import check_turn, dialogue_items
from lm_envs.world.dialogues import DOMAINS, GOAL_SLOTS, say
from lm_envs.world.understanding import GO_ON, acts_of

MAX_TURNS = 8


class Talk:
    """One conversation with a user whose goal the test knows."""

    def __init__(self, opening="open.book.day", patience=3, seed=0):
        _, domain, *self.told = opening.split(".")
        self.partners = AgendaPartners(1, domains=[domain], patience=(patience, patience))
        scenarios = [dialogue for dialogue in dialogue_items("train") if dialogue.domain == domain]
        number = next(i for i, dialogue in enumerate(scenarios) if dialogue.turns[0].act == opening)
        self.domain, self.goal = domain, scenarios[number].goal
        self.rng = np.random.default_rng(seed)
        (opened,) = self.partners.open([0], [number], [np.random.default_rng(seed)])
        assert opened.columns == {"goal": self.goal, "domain": domain} and not opened.info
        self.history = list(opened.messages)
        self.earned = 0.0

    def write(self, text):
        self.history.append({"role": "assistant", "content": text})
        (reply,) = self.partners.reply([0], [self.history])
        self.history.append({"role": "user", "content": reply.text})
        self.earned += reply.terms["slots"]
        return reply

    def say(self, act, **wrong):
        values = {**self.goal, "opens": "six", "closes": "noon", "visit.when": "today", "delay": "a week", **wrong}
        return self.write(say(act, values, self.rng))

    def settle(self, **wrong):
        """Settle the matter, with a promise where the user wants one."""
        if self.domain != "return":
            return self.say(f"done.{self.domain}", **wrong)
        values = {**self.goal, **wrong}
        return self.write(
            f"Great. You will get {values['refund'].replace('my', 'your')} for the {values['item']} in a week."
        )

    def ask_all(self):
        for slot in self.goal:
            if slot not in self.told:
                self.say(f"ask.{self.domain}.{slot}")

    def other(self, slot):
        values = {d.goal[slot] for d in dialogue_items("train") if slot in d.goal}
        return min(values - {self.goal[slot]})


def user_act(reply):
    return reply.info["user_act"]


@pytest.mark.parametrize("opening", [act for domain in DOMAINS for act in acts_of("user", domain) if "open" in act])
def test_a_conversation_that_succeeds(opening):
    talk = Talk(opening, patience=1)
    for slot in GOAL_SLOTS[talk.domain]:
        if slot not in opening.split(".")[2:]:
            reply = talk.say(f"ask.{talk.domain}.{slot}")
            assert user_act(reply) == f"tell.{talk.domain}.{slot}"
            assert reply.info["agent_act"] == f"ask.{talk.domain}.{slot}"
            assert talk.goal[slot].lower() in reply.text.lower()
            assert reply.terms["relevance"] == 1.0 and reply.terms["success"] == 0.0
            n_wanted = len(talk.goal) + len(REQUESTS.get(talk.domain, ()))
            assert reply.terms["slots"] == pytest.approx(0.5 / n_wanted) and not reply.done
    reply = talk.settle()
    assert reply.done and reply.success and user_act(reply) == "user.thanks"
    assert reply.terms["success"] == 1.0 and talk.earned == pytest.approx(1.0)
    assert set(reply.info["goal_state"].values()) == {"confirmed"}


def test_the_goal_state():
    talk = Talk("open.book.day")
    reply = talk.say("ask.book.people")
    assert reply.info["goal_state"] == {"people": "told", "day": "told", "time": "open", "customer": "open"}
    reply = talk.say("done.book", people=talk.other("people"), customer=talk.other("customer"))
    # the user has just told the number of people once more
    assert reply.info["goal_state"] == {"people": "told", "day": "confirmed", "time": "confirmed", "customer": "wrong"}


def test_a_wrong_value_is_corrected_until_patience_is_out():
    talk = Talk("open.book.day", patience=3)
    talk.ask_all()
    for _ in range(2):
        reply = talk.say("done.book", time=talk.other("time"))
        assert user_act(reply) == "tell.book.time" and talk.goal["time"] in reply.text.lower()
        assert not reply.done and not reply.success and reply.terms["relevance"] == 0.0
    reply = talk.say("done.book", time=talk.other("time"))
    assert reply.done and not reply.success and user_act(reply) == "user.bye"
    assert talk.earned < 1


def test_a_correction_that_is_taken_in():
    talk = Talk("open.hours.shop", patience=2)
    talk.say("ask.hours.day")
    assert user_act(talk.say("done.hours", day=talk.other("day"))) == "tell.hours.day"
    assert talk.say("done.hours").success
    assert talk.earned == pytest.approx(1.0)


@pytest.mark.parametrize(
    "text", ["It is open from six to noon on {day}.", "On {day} the {shop} is open from nine to eight!"]
)
def test_opening_hours_are_the_agents_own_knowledge(text):
    talk = Talk("open.hours.shop")
    talk.say("ask.hours.day")
    assert talk.write(text.format(**talk.goal)).success


@pytest.mark.parametrize("word", ["I see.", "You are welcome, goodbye!"])
def test_corrections_that_the_agent_takes_in(word):
    talk = Talk("open.book.day", patience=2)
    talk.ask_all()
    reply = talk.say("done.book", **{slot: talk.other(slot) for slot in ("day", "time", "people")})
    for slot, state in (("people", "told"), ("day", "told"), ("time", "told")):
        assert user_act(reply) == f"tell.book.{slot}" and not reply.done
        assert reply.info["goal_state"][slot] == state
        reply = talk.write(word)
        assert reply.terms["relevance"] == 1.0
    assert reply.success and talk.earned == pytest.approx(1.0)


def test_a_correction_is_forgotten_when_the_agent_asks_something_else():
    talk = Talk("open.hours.shop", patience=9)
    talk.say("ask.hours.day")
    assert user_act(talk.say("done.hours", day=talk.other("day"))) == "tell.hours.day"
    talk.say("ask.hours.shop")
    assert user_act(talk.write("You are welcome.")) == "user.bye"


@pytest.mark.parametrize("when", ["this week", "next week", "on Friday"])
def test_a_visit_must_be_soon(when):
    talk = Talk("open.fault.machine", patience=3)
    talk.ask_all()
    reply = talk.settle(**{"visit.when": when})
    assert user_act(reply) == "tell.fault.since" and reply.terms["relevance"] == 0.0 and not reply.done
    assert reply.info["goal_state"]["visit"] == "wrong"
    assert talk.settle(**{"visit.when": "tomorrow"}).success and talk.earned == pytest.approx(1.0)


def test_a_refund_needs_a_date():
    talk = Talk("open.return.item", patience=3)
    talk.ask_all()
    refund = talk.goal["refund"].replace("my", "your")
    reply = talk.write(f"I have noted the return of the {talk.goal['item']}. You will get {refund} soon.")
    assert reply.terms["relevance"] == 0.0
    assert user_act(reply) == "tell.return.refund" and reply.info["goal_state"]["delay"] == "open"
    assert talk.settle().success


def test_a_goodbye_does_not_meet_a_request():
    talk = Talk("open.fault.machine", patience=9)
    talk.ask_all()
    talk.settle(**{"visit.when": "next week"})
    reply = talk.write("You are welcome.")
    assert reply.done and not reply.success


def test_settled_too_early():
    talk = Talk("open.return.item")
    reply = talk.say("done.return")
    assert user_act(reply) == "tell.return.reason" and reply.terms["relevance"] == 0.0
    state = reply.info["goal_state"]
    assert {**state, "delay": ""} == {"item": "confirmed", "reason": "told", "refund": "confirmed", "delay": ""}
    assert talk.settle().success


def test_asked_again():
    talk = Talk("open.book.day", patience=3)
    assert talk.say("ask.book.time").terms["relevance"] == 1.0
    reply = talk.say("ask.book.time")
    assert user_act(reply) == "tell.book.time" and reply.terms["relevance"] == 0.0 and reply.terms["slots"] == 0.0
    assert user_act(talk.say("ask.book.day")) == "tell.book.day"
    assert talk.say("ask.book.day").done


def test_a_question_about_the_same_slot_at_another_desk_is_answered():
    talk = Talk("open.hours.shop")
    reply = talk.write("For which day?")
    assert reply.info["agent_act"] == "ask.book.day" and user_act(reply) == "tell.hours.day"
    assert reply.terms["relevance"] == 1.0


@pytest.mark.parametrize("text", ["Which machine is it?", "Lamp the day.", "Please send the lamp back.", "🙂", "."])
def test_what_does_not_belong_here(text):
    talk = Talk("open.book.day", patience=2)
    reply = talk.write(text)
    assert user_act(reply) == "open.book.day" and reply.terms["relevance"] == 0.0 and not reply.done
    assert talk.goal["day"] in reply.text
    talk.say("ask.book.time")
    assert user_act(talk.write(text)) == "user.bye"


def test_sure_makes_the_user_go_on():
    talk = Talk("open.fault.machine", patience=9)
    reply = talk.write("Sure.")
    assert reply.info["agent_act"] == GO_ON and user_act(reply) == "tell.fault.fault"
    assert reply.terms["slots"] == 0.0 and reply.terms["relevance"] == 0.0 and reply.terms["politeness"] == 1.0
    assert user_act(talk.write("I see.")) == "tell.fault.since"
    assert user_act(talk.write("I see.")) == "tell.fault.since"  # nothing is left on the agenda
    assert talk.say("done.fault").success
    assert talk.earned == pytest.approx(1.0)


def test_the_agent_closes_the_conversation():
    talk = Talk("open.book.day", patience=9)
    reply = talk.write("You are welcome.")
    assert reply.done and not reply.success and reply.info["agent_act"] == "assistant.bye"


def test_slots_are_earned_once():
    talk = Talk("open.book", patience=99)
    for _ in range(3):
        for slot in talk.goal:
            talk.say(f"ask.book.{slot}")
            talk.say("done.book", **{slot: talk.other(slot)})
    assert talk.earned == pytest.approx(1.0)


def play(partners, row, number, seed, policy=None):
    rng = np.random.default_rng(seed)
    (opened,) = partners.open([row], [number], [rng])
    history = list(opened.messages)
    value, success = 0.0, False
    for _ in range(MAX_TURNS):
        state = partners.acts.state(row)
        act = policy.choose(state) if policy else int(rng.integers(len(partners.acts.names)))
        history.append({"role": "assistant", "content": partners.acts.phrase(row, act, rng)})
        (reply,) = partners.reply([row], [history])
        history.append({"role": "user", "content": reply.text})
        value += reply.terms["success"] + 0.5 * reply.terms["slots"] + 0.02 * reply.terms["turn_cost"]
        success = bool(reply.success)
        if reply.done:
            break
    return history, value, success


def test_the_hand_written_policy_succeeds_and_a_random_one_does_not():
    partners = AgendaPartners(1, split="test")
    policy = HandWrittenPolicy(partners.acts)
    _, best, served = zip(*(play(partners, 0, i, i, policy) for i in range(512)), strict=True)
    _, random, lucky = zip(*(play(partners, 0, i, i) for i in range(512)), strict=True)
    assert all(served) and np.mean(best) > 1.4
    assert np.mean(lucky) < 0.1 and np.mean(random) < 0.1 * np.mean(best)


def test_the_user_speaks_the_worlds_language():
    partners = AgendaPartners(1, split="validation")
    for number in range(100):
        history, _, _ = play(partners, 0, number, number)
        for message in history:
            if message["role"] == "user" and message["content"] != "Goodbye.":
                assert check_turn("user", message["content"]).complete


def test_the_same_random_numbers_make_the_same_conversation():
    one, many = AgendaPartners(1), AgendaPartners(3)
    for number in range(20):
        play(many, 0, number + 1, seed=9)
        assert play(one, 0, number, seed=4) == play(many, 2, number, seed=4)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda partners: pickle.loads(pickle.dumps(partners))])
def test_a_copy_goes_on_alike(clone):
    partners = AgendaPartners(2)
    rngs = [np.random.default_rng(row) for row in range(2)]
    opened = partners.open([0, 1], [3, 4], rngs)
    histories = [[*opening.messages, {"role": "assistant", "content": "Hm."}] for opening in opened]
    copied = clone(partners)
    for _ in range(2):
        assert partners.reply([0, 1], histories) == copied.reply([0, 1], histories)
    assert all((partners.acts.state(row) == copied.acts.state(row)).all() for row in range(2))


def test_scenarios_are_the_dialogues_of_the_split():
    partners = AgendaPartners(2, split="test", device="cpu")
    items = dialogue_items("test")
    assert partners.n_scenarios == len(items)
    opened = partners.open([0, 1], [7, 511], [np.random.default_rng(0)] * 2)
    for opening, number in zip(opened, (7, 511), strict=True):
        assert opening.messages[0] == {"role": "user", "content": items[number].turns[0].text}
        assert opening.columns["goal"] == items[number].goal


def test_domains_are_a_subset():
    partners = AgendaPartners(1, domains=("hours", "book"))
    openings = [partners.open([0], [i], [np.random.default_rng(0)])[0] for i in range(40)]
    assert {opening.columns["domain"] for opening in openings} == {"book", "hours"}
    assert partners.n_scenarios == sum(d.domain in ("book", "hours") for d in dialogue_items("train"))
    assert AgendaPartners(1, domains="book").acts.domains == ("book",)


@pytest.mark.parametrize("patience", [(0, 2), (3, 2), (1.5, 2), 3, "ab", (1,)])
def test_wrong_patience(patience):
    with pytest.raises(ConfigurationError, match="patience must be the lowest and the highest .* got"):
        AgendaPartners(1, patience=patience)


def test_wrong_names():
    with pytest.raises(UnknownNameError, match="unknown dialogue domain 'bok'. Did you mean 'book'"):
        AgendaPartners(1, domains=["bok"])
    with pytest.raises(ConfigurationError, match="domains must name at least one of book, return, fault, hours"):
        AgendaPartners(1, domains=[])
    with pytest.raises(UnknownNameError, match="unknown split"):
        AgendaPartners(1, split="tset")


def test_a_reply_before_an_opening():
    with pytest.raises(ConfigurationError, match="row 1 has no conversation"):
        AgendaPartners(2).reply([1], [[{"role": "user", "content": "Hi."}]])


def test_replies_are_fast():
    partners = AgendaPartners(64)
    partners.open(range(64), range(64), [np.random.default_rng(row) for row in range(64)])
    histories = [[{"role": "assistant", "content": "For which day?"}]] * 64
    durations = []
    for _ in range(20):
        partners = copy.deepcopy(partners)
        start = time.perf_counter()
        partners.reply(range(64), histories)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 64 * 200e-6
