import json
from pathlib import Path

import numpy as np
import pytest

from lm_envs.dialogue.partners.replay import ReplayPartners
from lm_envs.dialogue.partners.replies import checked_openings, checked_replies
from lm_envs.errors import ConfigurationError, DataError, UnknownNameError
from lm_envs.rewards import make_reward

FAULT = [
    {"role": "system", "content": "You repair lamps."},
    {"role": "user", "content": "My lamp does not start."},
    {"role": "assistant", "content": "Since when?"},
    {"role": "user", "content": "Since Monday."},
    {"role": "assistant", "content": "I will come at noon."},
    {"role": "user", "content": "Thank you."},
]
HOURS = [{"role": "user", "content": "When do you open?"}, {"role": "assistant", "content": "At nine."}]
ROWS = [{"messages": FAULT, "topic": "fault"}, {"messages": HOURS, "topic": "hours"}]


def openings(partners: ReplayPartners) -> list:
    scenarios = range(partners.n_scenarios)
    rngs = [np.random.default_rng(0)] * partners.n_scenarios
    return checked_openings(partners, list(scenarios), partners.open(list(scenarios), scenarios, rngs))


def test_a_scenario_for_each_turn_of_the_assistant() -> None:
    partners = ReplayPartners(3, ROWS)
    assert partners.n_scenarios == 3
    assert partners.columns == ("reference", "topic")
    first, second, third = openings(partners)
    assert (list(first.messages), first.columns) == (FAULT[:2], {"reference": "Since when?", "topic": "fault"})
    assert (list(second.messages), second.columns["reference"]) == (FAULT[:4], "I will come at noon.")
    assert (list(third.messages), third.columns) == (HOURS[:1], {"reference": "At nine.", "topic": "hours"})


def test_only_the_last_turn() -> None:
    partners = ReplayPartners(2, ROWS, turns="last")
    assert [opening.columns["reference"] for opening in openings(partners)] == ["I will come at noon.", "At nine."]


def test_the_conversation_is_over_after_the_turn_of_the_agent() -> None:
    partners = ReplayPartners(2, ROWS)
    histories = [[*opening.messages, {"role": "assistant", "content": "Sure."}] for opening in openings(partners)[:2]]
    replies = checked_replies(partners, [0, 1], partners.reply([0, 1], histories), histories)
    assert [(reply.text, reply.done, reply.success) for reply in replies] == [("", True, None)] * 2


def test_the_default_reward_compares_with_the_reference() -> None:
    partners = ReplayPartners(1, ROWS, columns=[])
    reward = make_reward(partners.default_reward)
    reward.check_columns(partners.columns)
    columns = {"reference": [opening.columns["reference"] for opening in openings(partners)]}
    assert reward(["?"] * 3, ["Since when?", "", "At ten."], **columns).total.tolist() == [1.0, 0.0, 0.5]


def test_a_file_with_another_column(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps({"talk": row["messages"]}) + "\n" for row in ROWS))
    partners = ReplayPartners(2, tmp_path / "chats.jsonl", messages_column="talk")
    assert partners.columns == ("reference",)
    assert partners.n_scenarios == 3


def test_keys_that_templates_do_not_know_are_left_out() -> None:
    partners = ReplayPartners(1, [{"messages": [{**message, "name": None} for message in HOURS]}])
    assert list(openings(partners)[0].messages) == HOURS[:1]


def test_splits() -> None:
    rows = [{"messages": [{"role": "user", "content": f"When? {i}"}, HOURS[1]]} for i in range(40)]
    numbers = [ReplayPartners(1, rows, split=split).n_scenarios for split in ("train", "validation", "test")]
    assert sum(numbers) == 40
    assert min(numbers) > 0


def test_wrong_arguments() -> None:
    with pytest.raises(ConfigurationError, match="the partner 'replay' plays dialogues of your own: pass dataset="):
        ReplayPartners(1)
    with pytest.raises(UnknownNameError, match="unknown choice of turns 'lst'. Did you mean 'last'"):
        ReplayPartners(1, ROWS, turns="lst")


@pytest.mark.parametrize("name", ["reference", "success", "turn", "completions"])
def test_reserved_columns(name: str) -> None:
    rows = [{"messages": HOURS, name: 1}]
    with pytest.raises(DataError, match=rf"column named '{name}'.*rename it or leave it out by columns=\[...\]"):
        ReplayPartners(1, rows)
    assert ReplayPartners(1, rows, columns=[]).columns == ("reference",)
