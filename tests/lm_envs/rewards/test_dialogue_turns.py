"""Rewards for the course of a conversation."""

import numpy as np
import pytest

from lm_envs import world
from lm_envs.dialogue.partners.agenda import AgendaPartners
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.rewards import make_reward

NOTHING = ["", "  \n", "@#~ %% $$"]


def conversation(*turns: str) -> list[dict[str, str]]:
    """User and agent in turn, the user first."""
    return [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]


def score(spec: str, *conversations: list, **columns: list) -> list:
    n = len(conversations)
    function = make_reward(spec).terms[0].function
    return function(prompts=["hello"] * n, completions=["hi"] * n, messages=list(conversations), **columns)


def test_every_turn_costs_the_same() -> None:
    function = make_reward("turn_cost").terms[0].function
    assert function(["hello"] * 3, ["", "yes", None], turn=[1, 2, 3]) == [-1.0] * 3


class TestNonRepetition:
    def test_nothing_repeats(self) -> None:
        assert score("non_repetition", conversation("hi", "the red lamp", "so", "a blue lamp", "bye")) == [1.0]
        assert score("non_repetition", conversation("hi", "the red lamp")) == [1.0]

    def test_everything_repeats(self) -> None:
        assert score("non_repetition", conversation("hi", "Yes!", "so", "yes", "what", "yes")) == [0.0]
        assert score("non_repetition", conversation("hi", "the red lamp", "so", "The red lamp!")) == [0.0]

    @pytest.mark.parametrize("nothing", NOTHING)
    def test_silence_is_the_minimum(self, nothing: str) -> None:
        assert score("non_repetition", conversation("hi", nothing, "so", nothing), conversation("hi")) == [0.0, 0.0]

    def test_share_of_new_ngrams(self) -> None:
        talk = conversation("hi", "the red lamp", "so", "the red lamp is good", "and", "lamp is good")
        assert score("non_repetition", talk) == [pytest.approx(2 / 6)]
        assert score("non_repetition:n=1", talk) == [pytest.approx(2 / 8)]

    def test_what_the_user_repeats_does_not_count(self) -> None:
        assert score("non_repetition", conversation("hi there", "yes", "hi there", "no")) == [1.0]

    def test_wrong_parameter(self) -> None:
        with pytest.raises(ConfigurationError, match="n of the reward 'non_repetition' has to be an integer >= 1"):
            make_reward("non_repetition:n=0")


class TestUserSentiment:
    def test_the_last_turn_of_the_user_counts(self) -> None:
        good, bad = "Great, I love it!", "This is awful, I hate it."
        pleased, annoyed = score("user_sentiment", conversation(bad, "ok", good), conversation(good, "ok", bad, "oh"))
        assert 0 <= annoyed < 0.2 < 0.8 < pleased <= 1

    def test_a_goodbye_without_words_is_passed_over(self) -> None:
        assert score("user_sentiment", conversation("a lamp", "ok", "")) == [0.5]

    @pytest.mark.parametrize("nothing", NOTHING)
    def test_a_user_that_says_nothing(self, nothing: str) -> None:
        assert score("user_sentiment", conversation(nothing, "ok"), []) == [0.0, 0.0]


BOOKING = "I would like to book a table for four."


class TestAskedAgain:
    def test_what_has_been_told(self) -> None:
        told = conversation(BOOKING, "How many people will come?", "We are four.")
        asked = conversation(
            BOOKING, "For which day?", "On Monday.", "At what time?", "At six.", "Which day do you want?"
        )
        assert score("asked_again", told, asked, turn_info=[{}, {}]) == [-1.0, -1.0]

    def test_what_is_not_known_yet(self) -> None:
        day = conversation(BOOKING, "For which day?", "On Monday.")
        time = conversation(BOOKING, "For which day?", "On Monday.", "At what time?", "At six.")
        assert score("asked_again", day, time) == [0.0, 0.0]

    @pytest.mark.parametrize("turn", [*NOTHING, "Sure.", "You are welcome."])
    def test_a_turn_that_asks_for_nothing(self, turn: str) -> None:
        assert (
            score("asked_again", conversation(BOOKING, turn, "We are four."), [], conversation("a b c", turn))
            == [0.0] * 3
        )

    def test_the_act_of_the_turn_comes_before_its_words(self) -> None:
        talk = conversation(BOOKING, "four, you said, right?", "Yes.")
        infos = [{"agent_act": act} for act in ("ask.people", "ask.book.people", "ask.day", "continue", "")]
        assert score("asked_again", *[talk] * 5, turn_info=infos) == [-1.0, -1.0, 0.0, 0.0, 0.0]

    def test_no_dialogue_of_the_world_asks_again(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(60):
            messages = world.dialogues.generate(rng).messages()
            ends = [i + 1 for i, message in enumerate(messages) if message["role"] == "assistant"]
            assert score("asked_again", *[messages[:end] for end in ends]) == [0.0] * len(ends)

    def test_the_agenda_judges_alike(self) -> None:
        partners, found = AgendaPartners(1), []
        questions = [i for i, name in enumerate(partners.acts.names) if name.startswith("ask.")]
        for scenario in range(40):
            rng = np.random.default_rng(scenario)
            (opening,) = partners.open([0], [scenario], [rng])
            messages, done = [*opening.messages], False
            while not done:
                messages.append({"role": "assistant", "content": partners.acts.phrase(0, rng.choice(questions), rng)})
                (reply,) = partners.reply([0], [messages])
                is_own_subject = reply.info["agent_act"].startswith(f"ask.{opening.columns['domain']}.")
                messages.append({"role": "user", "content": reply.text})
                found += score("asked_again", messages)
                assert found[-1] == (-1.0 if is_own_subject and not reply.terms["relevance"] else 0.0)
                done = reply.done
        assert 10 < found.count(-1.0) < found.count(0.0)


@pytest.mark.parametrize("spec", ["non_repetition", "user_sentiment", "asked_again"])
def test_missing_messages(spec: str) -> None:
    with pytest.raises(UnknownNameError, match=f"column 'messages'.*'{spec}'"):
        make_reward(spec).terms[0].function(["p"], ["c"])
